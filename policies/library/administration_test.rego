package keyward.library.administration_test

import data.keyward.library.administration

call(name, arguments) := {
	"consumer": {"id": "overseer"},
	"target": {"id": "keyward"},
	"mcp": {"method": "tools/call", "name": name, "listing": false, "arguments": arguments},
}

test_pass_own_grant if administration.own("keyward") with input as call("grants.create", {"consumer": "overseer"})

test_pass_no_consumer if administration.own("keyward") with input as call("grants.create", {})

test_pass_consumer_that_is_no_text if {
	administration.own("keyward") with input as call("grants.create", {"consumer": ["overseer"]})
}

test_fail_grant_of_another if {
	not administration.own("keyward") with input as call("grants.create", {"consumer": "researcher"})
}

test_fail_other_tool if {
	not administration.own("keyward") with input as call("consumers.get", {"id": "overseer"})
}

test_fail_other_target if not administration.own("other") with input as call("grants.create", {"consumer": "overseer"})

test_fail_while_listing if {
	listed := json.patch(call("grants.create", {}), [
		{"op": "replace", "path": "/mcp/listing", "value": true},
		{"op": "remove", "path": "/mcp/arguments"},
	])
	not administration.own("keyward") with input as listed
}
