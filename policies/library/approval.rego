# METADATA
# title: Tools that need a human's approval
# description: |
#   Tells whether a call is of a tool that somebody must approve first:
#
#     ask if {
#       allow
#       approval.needed({"github": {"merge_pull_request", "delete_file"}})
#     }
#
#   The first line keeps a consumer from bothering anybody about a call that it
#   has no grant for. Listing is not calling: such tools stay visible.
package keyward.library.approval

# METADATA
# title: Is this a call of one of these tools?
# description: The tools are given per target; "*" stands for every tool of it.
needed(tools) if {
	some name in called
	name in tools[input.target.id]
}

called contains name if {
	input.mcp.method == "tools/call"
	not input.mcp.listing
	some name in [input.mcp.name, "*"]
}
