package keyward.library.github_test

import data.keyward.library.github

test_pass_reading_tools if {
	every name in ["get_file_contents", "list_issues", "search_code", "pull_request_read"] {
		github.reads with input.mcp as {"method": "tools/call", "name": name}
	}
}

test_fail_writing_tools if {
	every name in ["create_issue", "merge_pull_request", "push_files", "delete_file", "issue_write"] {
		not github.reads with input.mcp as {"method": "tools/call", "name": name}
	}
}

test_fail_names_that_only_resemble if {
	every name in ["Get_Me", "get_me ", "get_", "list_issues_and_delete", "", "*"] {
		not github.reads with input.mcp as {"method": "tools/call", "name": name}
	}
}

test_fail_without_a_name if not github.reads with input.mcp as {"method": "tools/call"}

test_fail_without_mcp if not github.reads with input as {"kind": "http"}

test_pass_no_reading_tool_has_a_writing_name if {
	writing := [name |
		some name in github.reading_tools
		not regex.match(`^(get|list|search)_|_read$`, name)
	]
	writing == []
}
