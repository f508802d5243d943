# METADATA
# title: Keyward's default policy
# description: |
#   Decides every request that reaches the gateway. It is asked three questions:
#
#   - allow: may this request go on? Nothing goes on that no rule allows.
#   - deny: is there a reason against it? One reason is enough, whatever else holds.
#   - ask: must a human approve it first?
#
#   `input` is the request: who asks (input.consumer), what is asked
#   (input.target, input.http, input.mcp) and what an administrator has granted
#   (input.grants). docs/policies.md describes every field.
package keyward

# How to read it: the lines between { and } must all hold. Several rules with
# the same name are alternatives: one that holds is enough.

# METADATA
# title: May this request go on?
# entrypoint: true
default allow := false

# Calling a tool: some grant names the tool and accepts the arguments.
allow if {
	input.kind == "mcp"
	input.mcp.kind == "request"
	input.mcp.method == "tools/call"
	some grant in input.grants
	named(input.mcp.name, grant.tools)
	arguments_fit(grant)
}

# Opening and keeping a session: any grant on the target will do. What a list
# shows is decided entry by entry, by the rule above.
allow if {
	input.kind == "mcp"
	input.mcp.listing == false
	count(input.grants) > 0
	session_message
}

# LLM providers and plain HTTP services: a grant accepts the method and the path.
allow if {
	input.kind in {"llm", "http"}
	some grant in input.grants
	method_fits(grant)
	path_fits(grant)
}

# METADATA
# title: Reasons against this request
# description: For the record only. A client never sees them.
# entrypoint: true
deny contains "the consumer is quarantined" if input.consumer.labels.quarantine == "true"

# METADATA
# title: Must a human approve this request first?
# description: Nobody is asked by default. policies/library/approval.rego shows how.
# entrypoint: true
default ask := false

# --- what the rules above are made of ---

session_requests := {"initialize", "ping", "server/discover", "tools/list"}

session_notifications := {
	"notifications/cancelled",
	"notifications/initialized",
	"notifications/progress",
	"notifications/roots/list_changed",
}

session_message if {
	input.mcp.kind == "request"
	input.mcp.method in session_requests
}

session_message if {
	input.mcp.kind == "notification"
	input.mcp.method in session_notifications
}

# "stream" is the server's own event stream, "end" the end of the session.
session_message if input.mcp.kind in {"stream", "end"}

# Names are compared byte for byte: "Delete" is not "delete". "*" stands for all.
named(name, names) if name in names

named(name, names) if {
	is_string(name)
	"*" in names
}

# A list entry has no arguments yet: show the tool if some arguments could fit.
arguments_fit(_) if input.mcp.listing

# Every argument that the grant constrains is there and has one of its values.
# Constraints under "*" hold for every tool.
arguments_fit(grant) if {
	every tool in ["*", input.mcp.name] {
		every argument, values in object.get(grant, ["arguments", tool], {}) {
			input.mcp.arguments[argument] in values
		}
	}
}

# A grant without methods accepts every method; one without paths, every path.
method_fits(grant) if not grant.methods

method_fits(grant) if named(input.http.method, grant.methods)

path_fits(grant) if not grant.paths

path_fits(grant) if "*" in grant.paths

# Whole segments: "/repos/acme" accepts "/repos/acme/x", never "/repos/acme-evil".
path_fits(grant) if {
	some path in grant.paths
	startswith(path, "/")
	prefix := [segment | some segment in split(path, "/"); segment != ""]
	array.slice(input.http.segments, 0, count(prefix)) == prefix
}
