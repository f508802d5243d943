# METADATA
# title: Shape and size of arguments
# description: |
#   Tells whether the arguments of a call look as they should:
#
#     deny contains "unexpected arguments" if {
#       input.mcp.name == "search"
#       input.mcp.listing == false
#       not arguments.only({"query", "page"})
#     }
#
#     deny contains "arguments too large" if {
#       input.mcp.listing == false
#       not arguments.small({"members": 10, "characters": 2000})
#     }
#
#   Arguments that are absent, or are no object, have no shape that fits.
package keyward.library.arguments

# METADATA
# title: Are these the only arguments there are?
only(names) if {
	is_object(input.mcp.arguments)
	every name, _ in input.mcp.arguments {
		name in names
	}
}

# METADATA
# title: Is every argument one plain value, and none too long?
# description: |
#   At most `members` arguments, each a text of at most `characters` characters,
#   a number, true, false or null. Lists and objects do not fit.
small(limits) if {
	is_object(input.mcp.arguments)
	count(input.mcp.arguments) <= limits.members
	every value in input.mcp.arguments {
		short(value, limits.characters)
	}
}

short(value, characters) if {
	is_string(value)
	count(value) <= characters
}

short(value, _) if is_number(value)

short(value, _) if is_boolean(value)

short(value, _) if is_null(value)
