# METADATA
# title: Arguments that are paths
# description: |
#   Tells whether an argument is a path at or under one of the given folders:
#
#     deny contains "files outside docs/" if {
#       input.mcp.name == "create_or_update_file"
#       input.mcp.listing == false
#       not paths.under(input.mcp.arguments.path, {"docs"})
#     }
#
#   A path that a tool could read in another way than it looks (empty, "." or
#   ".." segments, a backslash, a percent sign, a control character, a leading
#   "~") is under no folder.
package keyward.library.paths

# METADATA
# title: Is this path at or under one of these folders?
# description: Folders and path are compared by whole segments, byte for byte.
under(path, folders) if {
	segments := plain(path)
	some folder in folders
	prefix := plain(folder)
	array.slice(segments, 0, count(prefix)) == prefix
}

# METADATA
# title: The segments of a path that can be read in one way only
# description: A leading slash is kept as an empty first segment.
plain(path) := segments if {
	is_string(path)
	path != ""
	not startswith(path, "~")
	every mark in marks {
		not contains(path, mark)
	}
	segments := split(path, "/")
	every position, segment in segments {
		segment_plain(position, segment)
	}
}

segment_plain(0, "")

segment_plain(_, segment) if not segment in {"", ".", ".."}

# Characters that tools and shells act on.
marks := [
	"\\", "%", "\u007f",
	"\u0000", "\u0001", "\u0002", "\u0003", "\u0004", "\u0005", "\u0006", "\u0007",
	"\u0008", "\u0009", "\u000a", "\u000b", "\u000c", "\u000d", "\u000e", "\u000f",
	"\u0010", "\u0011", "\u0012", "\u0013", "\u0014", "\u0015", "\u0016", "\u0017",
	"\u0018", "\u0019", "\u001a", "\u001b", "\u001c", "\u001d", "\u001e", "\u001f",
]
