# METADATA
# title: GitHub tools that only read
# description: |
#   The read-only tools of GitHub's MCP server, by name. Use it to keep a
#   consumer that was granted more from changing anything:
#
#     deny contains "only reading on GitHub" if {
#       input.target.id == "github"
#       input.mcp.method == "tools/call"
#       not github.reads
#     }
#
#   The list is closed: a tool that a later version of the server adds does not
#   count as reading until it is written here.
package keyward.library.github

# METADATA
# title: Does this call only read?
reads if input.mcp.name in reading_tools

# METADATA
# title: The tools that only read
reading_tools := {
	"get_commit",
	"get_file_contents",
	"get_label",
	"get_latest_release",
	"get_me",
	"get_release_by_tag",
	"get_tag",
	"issue_read",
	"list_branches",
	"list_commits",
	"list_issue_types",
	"list_issues",
	"list_pull_requests",
	"list_releases",
	"list_tags",
	"pull_request_read",
	"search_code",
	"search_issues",
	"search_pull_requests",
	"search_repositories",
	"search_users",
}
