package keyward_test

import data.keyward

# --- the three answers, in full ---

test_pass_answer_is_complete_for_an_allowed_call if {
	keyward.allow == true with input as call("issues.read", {})
	keyward.deny == set() with input as call("issues.read", {})
	keyward.ask == false with input as call("issues.read", {})
}

test_fail_answer_is_complete_for_an_empty_input if {
	keyward.allow == false with input as {}
	keyward.deny == set() with input as {}
	keyward.ask == false with input as {}
}

test_fail_unknown_kind if not keyward.allow with input as object.union(call("issues.read", {}), {"kind": "smtp"})

# --- calling tools ---

test_pass_tool_named_by_a_grant if keyward.allow with input as call("issues.read", {})

test_pass_tool_named_by_the_second_grant if {
	both := [{"id": "g1", "tools": ["other"]}, {"id": "g2", "tools": ["issues.read"]}]
	keyward.allow with input as granted(call("issues.read", {}), both)
}

test_pass_every_tool_by_star if {
	keyward.allow with input as granted(call("anything", {}), [{"id": "g", "tools": ["*"]}])
}

test_fail_tool_not_named if not keyward.allow with input as call("issues.delete", {})

test_fail_tool_in_other_case if not keyward.allow with input as call("Issues.Read", {})

test_fail_tool_with_trailing_space if not keyward.allow with input as call("issues.read ", {})

test_fail_tool_that_only_starts_like_a_granted_one if not keyward.allow with input as call("issues.read.all", {})

test_fail_star_is_no_pattern if {
	not keyward.allow with input as granted(call("issues.read", {}), [{"id": "g", "tools": ["issues.*"]}])
}

test_fail_without_grants if not keyward.allow with input as granted(call("issues.read", {}), [])

test_fail_with_null_grants if not keyward.allow with input as granted(call("issues.read", {}), null)

test_fail_grant_without_tools if not keyward.allow with input as granted(call("issues.read", {}), [{"id": "g"}])

test_fail_grant_of_a_prompt_is_none_of_a_tool if {
	not keyward.allow with input as granted(call("issues.read", {}), [{"id": "g", "prompts": ["*"], "resources": ["*"]}])
}

test_fail_call_without_a_name if {
	nameless := without(call("issues.read", {}), "name")
	not keyward.allow with input as granted(nameless, [{"id": "g", "tools": ["*"]}])
}

test_fail_call_whose_name_is_null if {
	not keyward.allow with input as granted(call(null, {}), [{"id": "g", "tools": ["*"]}])
}

test_fail_call_sent_as_a_notification if {
	not keyward.allow with input as edited(call("issues.read", {}), {"mcp": {"kind": "notification"}})
}

# --- constrained arguments ---

test_pass_argument_has_a_listed_value if keyward.allow with input as constrained({"owner": "acme"})

test_pass_argument_has_the_other_listed_value if keyward.allow with input as constrained({"owner": "acme-labs"})

test_pass_unconstrained_argument_beside_it if keyward.allow with input as constrained({"owner": "acme", "page": 2})

test_fail_argument_has_another_value if not keyward.allow with input as constrained({"owner": "evil"})

test_fail_argument_in_other_case if not keyward.allow with input as constrained({"owner": "Acme"})

test_fail_argument_name_in_other_case if not keyward.allow with input as constrained({"Owner": "acme"})

test_fail_argument_missing if not keyward.allow with input as constrained({"page": 2})

test_fail_argument_null if not keyward.allow with input as constrained({"owner": null})

test_fail_argument_is_a_list_of_the_value if not keyward.allow with input as constrained({"owner": ["acme"]})

test_fail_argument_is_the_list_of_values if {
	not keyward.allow with input as constrained({"owner": ["acme", "acme-labs"]})
}

test_fail_argument_walks_up if not keyward.allow with input as constrained({"owner": "acme/../evil"})

test_fail_arguments_empty if not keyward.allow with input as constrained({})

test_fail_arguments_are_a_list if not keyward.allow with input as constrained(["owner", "acme"])

test_fail_arguments_absent if {
	not keyward.allow with input as without(constrained({}), "arguments")
}

test_fail_one_of_two_constraints_does_not_hold if {
	grant := {"id": "g", "tools": ["t"], "arguments": {"t": {"owner": ["acme"], "repo": ["web"]}}}
	not keyward.allow with input as granted(call("t", {"owner": "acme", "repo": "secrets"}), [grant])
}

test_pass_both_constraints_hold if {
	grant := {"id": "g", "tools": ["t"], "arguments": {"t": {"owner": ["acme"], "repo": ["web"]}}}
	keyward.allow with input as granted(call("t", {"owner": "acme", "repo": "web"}), [grant])
}

test_fail_constraints_are_not_mixed_between_grants if {
	grants := [
		{"id": "g1", "tools": ["t"], "arguments": {"t": {"owner": ["acme"], "repo": ["web"]}}},
		{"id": "g2", "tools": ["t"], "arguments": {"t": {"owner": ["umbrella"], "repo": ["lab"]}}},
	]
	not keyward.allow with input as granted(call("t", {"owner": "acme", "repo": "lab"}), grants)
}

test_pass_constraint_of_another_tool_is_nothing_to_this_one if {
	grant := {"id": "g", "tools": ["t", "u"], "arguments": {"u": {"owner": ["acme"]}}}
	keyward.allow with input as granted(call("t", {}), [grant])
}

test_fail_constraint_under_star_holds_for_every_tool if {
	grant := {"id": "g", "tools": ["*"], "arguments": {"*": {"owner": ["acme"]}}}
	not keyward.allow with input as granted(call("t", {"owner": "evil"}), [grant])
	not keyward.allow with input as granted(call("t", {}), [grant])
}

test_pass_constraint_under_star_holds if {
	grant := {"id": "g", "tools": ["*"], "arguments": {"*": {"owner": ["acme"]}}}
	keyward.allow with input as granted(call("t", {"owner": "acme"}), [grant])
}

test_fail_constraint_under_star_adds_to_that_of_the_tool if {
	grant := {"id": "g", "tools": ["t"], "arguments": {"*": {"owner": ["acme"]}, "t": {"owner": ["acme", "evil"]}}}
	not keyward.allow with input as granted(call("t", {"owner": "evil"}), [grant])
}

test_fail_constraint_without_values if {
	grant := {"id": "g", "tools": ["t"], "arguments": {"t": {"owner": []}}}
	not keyward.allow with input as granted(call("t", {"owner": "acme"}), [grant])
}

test_pass_constraint_on_null_false_and_numbers if {
	grant := {"id": "g", "tools": ["t"], "arguments": {"t": {"a": [null], "b": [false], "c": [1, 2]}}}
	keyward.allow with input as granted(call("t", {"a": null, "b": false, "c": 2}), [grant])
}

test_fail_number_given_as_text if {
	grant := {"id": "g", "tools": ["t"], "arguments": {"t": {"c": [1]}}}
	not keyward.allow with input as granted(call("t", {"c": "1"}), [grant])
}

# --- listing: one entry of tools/list at a time ---

test_pass_listing_a_granted_tool if {
	keyward.allow with input as entry("issues.read", [{"id": "g", "tools": ["issues.read"]}])
}

test_pass_listing_a_tool_whose_arguments_are_constrained if {
	grant := {"id": "g", "tools": ["t"], "arguments": {"t": {"owner": ["acme"]}}}
	keyward.allow with input as entry("t", [grant])
}

test_fail_listing_a_tool_not_granted if {
	not keyward.allow with input as entry("issues.delete", [{"id": "g", "tools": ["issues.read"]}])
}

test_fail_listing_is_never_decided_by_the_session_rule if {
	every method in ["initialize", "ping", "server/discover", "tools/list"] {
		asked := edited(entry("issues.delete", [{"id": "g", "tools": ["issues.read"]}]), {"mcp": {"method": method}})
		not keyward.allow with input as asked
	}
}

# --- sessions ---

test_pass_session_requests_with_a_grant if {
	every method in ["initialize", "ping", "server/discover", "tools/list"] {
		keyward.allow with input as message("request", method)
	}
}

test_fail_session_requests_without_a_grant if {
	every method in ["initialize", "ping", "server/discover", "tools/list"] {
		not keyward.allow with input as granted(message("request", method), [])
	}
}

test_pass_session_notifications_with_a_grant if {
	every method in ["cancelled", "initialized", "progress", "roots/list_changed"] {
		keyward.allow with input as message("notification", sprintf("notifications/%s", [method]))
	}
}

test_fail_session_notifications_without_a_grant if {
	every method in ["cancelled", "initialized", "progress", "roots/list_changed"] {
		not keyward.allow with input as granted(message("notification", sprintf("notifications/%s", [method])), [])
	}
}

test_pass_stream_and_end_with_a_grant if {
	every kind in ["stream", "end"] {
		keyward.allow with input as without(message(kind, ""), "method")
	}
}

test_fail_stream_and_end_without_a_grant if {
	every kind in ["stream", "end"] {
		not keyward.allow with input as granted(without(message(kind, ""), "method"), [])
	}
}

test_fail_request_sent_as_notification_and_the_reverse if {
	not keyward.allow with input as message("notification", "initialize")
	not keyward.allow with input as message("request", "notifications/initialized")
}

test_fail_every_other_method if {
	every method in [
		"completion/complete", "elicitation/create", "logging/setLevel", "prompts/get", "prompts/list", "resources/list",
		"resources/read", "resources/subscribe", "resources/templates/list", "roots/list", "sampling/createMessage",
		"subscriptions/listen", "tasks/get", "tools/Call", "tools/call/", "notifications/message", "", "*",
	] {
		every kind in ["request", "notification"] {
			not keyward.allow with input as edited(
				granted(message(kind, method), [{"id": "g", "tools": ["*"], "prompts": ["*"], "resources": ["*"]}]),
				{"mcp": {"name": "*"}},
			)
		}
	}
}

# --- LLM providers and HTTP services ---

test_pass_any_method_and_path_by_a_bare_grant if {
	every kind in ["llm", "http"] {
		keyward.allow with input as web(kind, "POST", ["v1", "chat", "completions"], {})
	}
}

test_fail_http_without_grants if {
	every kind in ["llm", "http"] {
		not keyward.allow with input as granted(web(kind, "GET", [], {}), [])
	}
}

test_pass_method_listed if keyward.allow with input as web("http", "GET", ["x"], {"methods": ["GET", "HEAD"]})

test_pass_every_method_by_star if keyward.allow with input as web("http", "GET", ["x"], {"methods": ["*"]})

test_fail_method_not_listed if {
	not keyward.allow with input as web("http", "DELETE", ["x"], {"methods": ["GET", "HEAD"]})
}

test_fail_method_in_other_case if not keyward.allow with input as web("http", "get", ["x"], {"methods": ["GET"]})

test_fail_methods_empty_or_null if {
	not keyward.allow with input as web("http", "GET", ["x"], {"methods": []})
	not keyward.allow with input as web("http", "GET", ["x"], {"methods": null})
}

test_pass_path_is_the_prefix if keyward.allow with input as web("http", "GET", ["repos", "acme"], acme)

test_pass_path_is_below_the_prefix if keyward.allow with input as web("http", "GET", ["repos", "acme", "web"], acme)

test_pass_prefix_with_a_slash_at_its_end if {
	keyward.allow with input as web("http", "GET", ["repos", "acme", "web"], {"paths": ["/repos/acme/"]})
}

test_pass_root_prefix_and_star_are_every_path if {
	every prefix in ["/", "*"] {
		keyward.allow with input as web("http", "GET", ["a", "b"], {"paths": [prefix]})
		keyward.allow with input as web("http", "GET", [], {"paths": [prefix]})
	}
}

test_pass_second_prefix_fits if {
	keyward.allow with input as web("http", "GET", ["b"], {"paths": ["/a", "/b"]})
}

test_fail_path_only_starts_like_the_prefix if {
	not keyward.allow with input as web("http", "GET", ["repos", "acme-evil"], acme)
}

test_fail_path_above_the_prefix if not keyward.allow with input as web("http", "GET", ["repos"], acme)

test_fail_path_in_other_case if not keyward.allow with input as web("http", "GET", ["repos", "Acme"], acme)

test_fail_slash_inside_a_segment if not keyward.allow with input as web("http", "GET", ["repos/acme"], acme)

test_fail_prefix_without_a_leading_slash if {
	not keyward.allow with input as web("http", "GET", ["repos"], {"paths": ["repos"]})
	not keyward.allow with input as web("http", "GET", ["repos"], {"paths": [""]})
}

test_fail_paths_empty_or_null if {
	not keyward.allow with input as web("http", "GET", ["x"], {"paths": []})
	not keyward.allow with input as web("http", "GET", ["x"], {"paths": null})
}

test_fail_method_of_one_grant_and_path_of_another if {
	grants := [{"id": "g1", "methods": ["GET"], "paths": ["/a"]}, {"id": "g2", "methods": ["POST"], "paths": ["/b"]}]
	not keyward.allow with input as granted(web("http", "POST", ["a"], {}), grants)
}

test_fail_mcp_part_is_nothing_to_an_http_target if {
	grants := [{"id": "g", "tools": ["issues.read"], "paths": ["/repos/acme"]}]
	not keyward.allow with input as granted(edited(call("issues.read", {}), {"kind": "http"}), grants)
}

test_fail_session_message_at_an_http_target if {
	grants := [{"id": "g", "paths": ["/elsewhere"]}]
	not keyward.allow with input as granted(edited(message("request", "tools/list"), {"kind": "http"}), grants)
}

# --- reasons against ---

test_fail_quarantined_consumer_has_a_reason if {
	quarantined := edited(call("issues.read", {}), {"consumer": {"labels": {"quarantine": "true"}}})
	keyward.deny == {"the consumer is quarantined"} with input as quarantined
}

test_pass_other_labels_are_no_reason if {
	labelled := edited(call("issues.read", {}), {"consumer": {"labels": {"quarantine": "false", "team": "core"}}})
	keyward.deny == set() with input as labelled
}

# --- inputs ---

call(name, arguments) := edited(
	message("request", "tools/call"),
	{"mcp": {"name": name, "arguments": arguments}},
)

constrained(arguments) := granted(call("issues.list", arguments), [{
	"id": "g",
	"tools": ["issues.list"],
	"arguments": {"issues.list": {"owner": ["acme", "acme-labs"]}},
}])

entry(name, grants) := edited(
	message("request", "tools/call"),
	{"grants": grants, "mcp": {"name": name, "listing": true}},
)

message(kind, method) := {
	"kind": "mcp",
	"consumer": {"id": "researcher", "kind": "worker", "labels": {}},
	"target": {"id": "github", "kind": "mcp", "labels": {}},
	"grants": [{"id": "g", "tools": ["issues.read"]}],
	"http": {"method": "POST", "host": "gateway.test", "path": "/mcp", "segments": ["mcp"]},
	"mcp": {"revision": "2025-11-25", "kind": kind, "method": method, "listing": false},
}

acme := {"paths": ["/repos/acme"]}

web(kind, method, segments, grant) := {
	"kind": kind,
	"consumer": {"id": "researcher", "kind": "worker", "labels": {}},
	"target": {"id": "service", "kind": kind, "labels": {}},
	"grants": [object.union({"id": "g"}, grant)],
	"http": {
		"method": method, "host": "gateway.test",
		"path": sprintf("/%s", [concat("/", segments)]), "segments": segments,
	},
}

granted(request, grants) := edited(request, {"grants": grants})

edited(request, change) := object.union(request, change)

without(request, field) := object.union(
	object.remove(request, ["mcp"]),
	{"mcp": object.remove(request.mcp, [field])},
)
