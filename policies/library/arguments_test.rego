package keyward.library.arguments_test

import data.keyward.library.arguments

# --- only ---

test_pass_only_known_names if arguments.only({"query", "page"}) with input.mcp.arguments as {"query": "x"}

test_pass_only_of_nothing if arguments.only({"query"}) with input.mcp.arguments as {}

test_fail_unknown_name if {
	not arguments.only({"query"}) with input.mcp.arguments as {"query": "x", "__proto__": {}}
}

test_fail_name_in_other_case if not arguments.only({"query"}) with input.mcp.arguments as {"Query": "x"}

test_fail_only_of_what_is_no_object if {
	every value in [null, [], ["query"], "query", 1] {
		not arguments.only({"query", 0}) with input.mcp.arguments as value
	}
}

test_fail_only_without_arguments if not arguments.only({"query"}) with input as {"mcp": {}}

# --- small ---

limits := {"members": 2, "characters": 5}

test_pass_small_values if {
	every value in ["", "12345", "äöüßé", 1e9, true, false, null] {
		arguments.small(limits) with input.mcp.arguments as {"a": value, "b": "x"}
	}
}

test_pass_small_of_nothing if arguments.small(limits) with input.mcp.arguments as {}

test_fail_text_too_long if not arguments.small(limits) with input.mcp.arguments as {"a": "123456"}

test_fail_too_many if not arguments.small(limits) with input.mcp.arguments as {"a": 1, "b": 2, "c": 3}

test_fail_lists_and_objects if {
	every value in [[], ["x"], {}, {"x": 1}] {
		not arguments.small(limits) with input.mcp.arguments as {"a": value}
	}
}

test_fail_small_of_what_is_no_object if {
	every value in [null, [], "x", 1] {
		not arguments.small(limits) with input.mcp.arguments as value
	}
}

test_fail_small_without_arguments if not arguments.small(limits) with input as {"mcp": {}}

test_fail_when_a_limit_is_missing if {
	every name in ["members", "characters"] {
		not arguments.small(object.remove(limits, [name])) with input.mcp.arguments as {"a": "x"}
	}
}
