package keyward.library.paths_test

import data.keyward.library.paths

test_pass_at_the_folder if paths.under("docs", {"docs"})

test_pass_below_the_folder if paths.under("docs/guide/start.md", {"docs"})

test_pass_second_folder if paths.under("site/index.html", {"docs", "site"})

test_pass_deeper_folder if paths.under("a/b/c", {"a/b"})

test_pass_absolute_under_absolute if paths.under("/srv/docs/x", {"/srv/docs"})

test_pass_dots_inside_a_name if paths.under("docs/v1..2/.hidden/...", {"docs"})

test_fail_beside_the_folder if not paths.under("src/main.go", {"docs"})

test_fail_name_only_starts_like_the_folder if not paths.under("docs-secret/x", {"docs"})

test_fail_other_case if not paths.under("Docs/x", {"docs"})

test_fail_above_the_folder if not paths.under("a", {"a/b"})

test_fail_absolute_under_relative_and_the_reverse if {
	not paths.under("/docs/x", {"docs"})
	not paths.under("docs/x", {"/docs"})
}

test_fail_path_that_can_be_read_otherwise if {
	every path in [
		"", "/", "docs/", "docs//x", "docs/./x", "./docs", "docs/..", "docs/../src", "docs/x/../../src", "..", "../docs",
		"docs\\..\\src", "docs/%2e%2e/src", "docs/x\n", "docs/\u0000", "docs/\u007f", "~/docs", "~docs",
	] {
		not paths.under(path, {"docs", "", "/"})
	}
}

test_fail_tilde_even_at_the_very_folder if not paths.under("~docs/x", {"~docs"})

test_fail_what_is_no_text if {
	every value in [null, true, 7, ["docs"], {"docs": 1}] {
		not paths.under(value, {"docs"})
	}
}

test_fail_no_folders if not paths.under("docs", set())

test_fail_folder_that_can_be_read_otherwise if not paths.under("docs/x", {"docs/", ".", ""})

test_pass_plain_gives_the_segments if {
	paths.plain("a/b") == ["a", "b"]
	paths.plain("/a") == ["", "a"]
}
