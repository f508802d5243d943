package keyward.library.git_test

import data.keyward.library.git

request(method, segments, query) := {"http": {"method": method, "segments": segments, "query": query}}

test_pass_announcement_of_a_fetch if {
	git.reads with input as request("GET", ["acme", "web.git", "info", "refs"], {"service": ["git-upload-pack"]})
}

test_pass_fetch if git.reads with input as request("POST", ["acme", "web.git", "git-upload-pack"], {})

test_pass_fetch_without_a_query_member if {
	git.reads with input as {"http": {"method": "POST", "segments": ["web.git", "git-upload-pack"]}}
}

test_fail_announcement_of_a_push if {
	not git.reads with input as request("GET", ["web.git", "info", "refs"], {"service": ["git-receive-pack"]})
}

test_fail_push if not git.reads with input as request("POST", ["web.git", "git-receive-pack"], {})

test_fail_both_services_named if {
	every services in [["git-upload-pack", "git-receive-pack"], ["git-receive-pack", "git-upload-pack"]] {
		not git.reads with input as request("GET", ["web.git", "info", "refs"], {"service": services})
	}
}

test_fail_another_query_parameter_beside_it if {
	not git.reads with input as request(
		"GET", ["web.git", "info", "refs"],
		{"service": ["git-upload-pack"], "Service": ["git-receive-pack"]},
	)
	not git.reads with input as request("POST", ["web.git", "git-upload-pack"], {"service": ["git-receive-pack"]})
}

test_fail_dumb_http if {
	not git.reads with input as request("GET", ["web.git", "info", "refs"], {})
	not git.reads with input as request("GET", ["web.git", "HEAD"], {})
}

test_fail_large_file_storage if {
	not git.reads with input as request("POST", ["web.git", "info", "lfs", "objects", "batch"], {})
}

test_fail_other_method if {
	every method in ["HEAD", "PUT", "DELETE", "get"] {
		not git.reads with input as request(method, ["web.git", "info", "refs"], {"service": ["git-upload-pack"]})
	}
}

test_fail_fetch_by_other_method if {
	every method in ["GET", "PUT", "post"] {
		not git.reads with input as request(method, ["web.git", "git-upload-pack"], {})
	}
}

test_fail_short_or_missing_path if {
	not git.reads with input as request("GET", ["refs"], {"service": ["git-upload-pack"]})
	not git.reads with input as request("GET", [], {"service": ["git-upload-pack"]})
	not git.reads with input as request("POST", [], {})
	not git.reads with input as {"http": {"method": "POST"}}
}

test_fail_name_further_up_the_path if {
	not git.reads with input as request("POST", ["git-upload-pack", "web.git", "git-receive-pack"], {})
}
