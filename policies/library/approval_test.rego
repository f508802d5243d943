package keyward.library.approval_test

import data.keyward.library.approval

tools := {"github": {"merge_pull_request"}, "bank": {"*"}}

call(target, name) := {
	"target": {"id": target},
	"mcp": {"method": "tools/call", "name": name, "listing": false},
}

test_pass_named_tool if approval.needed(tools) with input as call("github", "merge_pull_request")

test_pass_every_tool_by_star if approval.needed(tools) with input as call("bank", "transfer")

test_pass_when_listing_is_not_said if {
	approval.needed(tools) with input as {"target": {"id": "bank"}, "mcp": {"method": "tools/call", "name": "transfer"}}
}

test_fail_tool_not_named if not approval.needed(tools) with input as call("github", "get_me")

test_fail_same_name_at_another_target if {
	not approval.needed(tools) with input as call("gitlab", "merge_pull_request")
}

test_fail_while_listing if {
	listed := object.union(call("bank", "transfer"), {"mcp": {"listing": true}})
	not approval.needed(tools) with input as listed
}

test_fail_other_method if {
	other := object.union(call("bank", "transfer"), {"mcp": {"method": "tools/list"}})
	not approval.needed(tools) with input as other
}

test_fail_nothing_needs_approval if not approval.needed({}) with input as call("github", "merge_pull_request")
