# METADATA
# title: Agents that administer
# description: |
#   Tells whether a call to the Manager's own MCP server would change what the
#   caller itself may do:
#
#     deny contains "an agent's own grants" if administration.own("keyward")
#
#   where "keyward" is the target that the Manager's MCP server is behind. The
#   server refuses such calls too; the rule keeps them from reaching it.
package keyward.library.administration

# METADATA
# title: Does this call change what its own caller may do?
own(target) if {
	input.target.id == target
	input.mcp.method == "tools/call"
	input.mcp.name == "grants.create"
	not input.mcp.listing
	not another(object.get(input.mcp, ["arguments", "consumer"], null))
}

# Text, and not the caller's id. Whatever else stands there is not trusted.
another(consumer) if {
	is_string(consumer)
	consumer != input.consumer.id
}
