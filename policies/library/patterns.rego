# METADATA
# title: Arguments that follow a pattern
# description: |
#   Tells whether an argument is matched whole by a regular expression:
#
#     deny contains "not one of our branches" if {
#       input.mcp.name == "create_branch"
#       input.mcp.listing == false
#       not patterns.match("branch", `(feature|fix)-[0-9]+`)
#     }
#
#   Regular expressions need a gate that was built with every builtin
#   (`make plugins BUILTINS=all`, `keyward policy compile --wide`).
package keyward.library.patterns

# METADATA
# title: Is this argument there, a text, and matched whole by the pattern?
# description: The pattern is an RE2 expression; it need not be anchored.
match(name, pattern) if {
	is_string(input.mcp.arguments[name])
	regex.is_valid(pattern) # else a stray parenthesis could undo the anchors
	regex.match(sprintf(`\A(?:%s)\z`, [pattern]), input.mcp.arguments[name])
}
