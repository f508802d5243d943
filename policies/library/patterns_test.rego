package keyward.library.patterns_test

import data.keyward.library.patterns

test_pass_whole_match if patterns.match("ref", `[a-z]+-\d+`) with input.mcp.arguments as {"ref": "web-12"}

test_pass_alternatives_are_anchored_together if {
	patterns.match("ref", `main|dev`) with input.mcp.arguments as {"ref": "dev"}
	not patterns.match("ref", `main|dev`) with input.mcp.arguments as {"ref": "dev-evil"}
	not patterns.match("ref", `main|dev`) with input.mcp.arguments as {"ref": "evil-main"}
}

test_fail_match_of_a_part if {
	not patterns.match("ref", `[a-z]+-\d+`) with input.mcp.arguments as {"ref": "x; web-12"}
}

test_fail_match_of_one_line_of_several if {
	not patterns.match("ref", `[a-z]+`) with input.mcp.arguments as {"ref": "web\nevil"}
	not patterns.match("ref", `[a-z]+`) with input.mcp.arguments as {"ref": "web\n"}
}

test_fail_pattern_that_would_undo_the_anchors if {
	not patterns.match("ref", `web)|(.*`) with input.mcp.arguments as {"ref": "evil"}
	not patterns.match("ref", `\Qweb`) with input.mcp.arguments as {"ref": "web"}
}

test_fail_argument_missing_or_no_text if {
	not patterns.match("ref", `.*`) with input.mcp.arguments as {}
	not patterns.match("ref", `.*`) with input.mcp.arguments as {"ref": null}
	not patterns.match("ref", `.*`) with input.mcp.arguments as {"ref": ["web"]}
}
