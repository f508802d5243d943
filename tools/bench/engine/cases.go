package main

import (
	"fmt"
	"os"
	"strings"
)

// A policyCase is a policy and a request that it allows.
type policyCase struct {
	name   string
	policy string
	data   map[string]any
	input  string
}

// call is a tools/call as the gateway tells a policy of it.
const call = `{
	"kind": "mcp",
	"consumer": {"id": "worker-500", "kind": "worker", "labels": {"team": "blue", "tier": "2"}},
	"target": {"id": "github", "kind": "mcp", "labels": {"env": "prod"}},
	"grants": [
		{"id": "g1", "tools": ["list_issues", "get_issue"]},
		{"id": "g2", "tools": ["create_issue"], "arguments": {"create_issue": {"owner": ["acme"], "repo": ["a", "b"]}}, "expires": 4102444800}
	],
	"http": {"method": "POST", "host": "mcp.example.com", "path": "/mcp", "segments": ["mcp"]},
	"mcp": {"revision": "2025-11-25", "kind": "request", "method": "tools/call", "name": "create_issue", "listing": false,
		"arguments": {"owner": "acme", "repo": "b", "title": "A title", "body": "Some text that is a little longer than the title."}}
}`

// cases returns what is measured; file is the default policy.
func cases(file string) ([]policyCase, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return []policyCase{
		{name: "baseline", policy: "package keyward\n\nallow := input.mcp.listing == false\n", input: call},
		{name: "default", policy: string(text), input: call},
		{name: "rules-1", policy: rules(1), input: rulesInput(1)},
		{name: "rules-100", policy: rules(100), input: rulesInput(100)},
		{name: "rules-1000", policy: rules(1000), input: rulesInput(1000)},
		{name: "consumers-1000", policy: consumersPolicy, data: consumers(1000), input: call},
		{name: "text", policy: textPolicy, input: call},
		{name: "comprehensions", policy: comprehensionsPolicy, input: call},
		{name: "envoy-tutorial", policy: envoyPolicy, input: envoyInput},
		{name: "rbac", policy: rbacPolicy, data: rbacData, input: `{"user": "bob", "action": "update", "object": "id789", "type": "cat"}`},
	}, nil
}

func rules(n int) string {
	var b strings.Builder
	b.WriteString("package keyward\n\ndefault allow := false\n")
	for i := range n {
		fmt.Fprintf(&b, "\nallow if {\n\tinput.http.path == \"/items/%d\"\n\tinput.http.method == \"GET\"\n\tinput.consumer.kind == \"worker\"\n}\n", i)
	}
	return b.String()
}

func rulesInput(n int) string {
	return fmt.Sprintf(`{"consumer": {"id": "w", "kind": "worker"}, "http": {"method": "GET", "host": "api.example.com", "path": "/items/%d"}}`, n*3/4)
}

const consumersPolicy = `package keyward

default allow := false

allow if {
	consumer := data.consumers[input.consumer.id]
	some role in consumer.roles
	input.mcp.name in data.roles[role]
}

deny contains "suspended" if data.consumers[input.consumer.id].suspended
`

func consumers(n int) map[string]any {
	all := map[string]any{}
	for i := range n {
		all[fmt.Sprintf("worker-%d", i)] = map[string]any{"roles": []any{"reader", fmt.Sprintf("team-%d", i%7), "writer"}, "suspended": false}
	}
	return map[string]any{
		"consumers": all,
		"roles":     map[string]any{"reader": []any{"list_issues", "get_issue"}, "writer": []any{"create_issue", "close_issue"}},
	}
}

const textPolicy = `package keyward

default allow := false

allow if {
	regex.match("^[a-z]+(_[a-z]+)*$", input.mcp.name)
	not regex.match("(?i)(password|secret)", input.mcp.arguments.body)
	startswith(lower(input.mcp.arguments.title), "a ")
	count(split(input.http.host, ".")) == 3
	trim(upper(concat("-", [input.consumer.id, input.target.id])), "X") == "WORKER-500-GITHUB"
	sprintf("%s/%s", [input.mcp.arguments.owner, input.mcp.arguments.repo]) == "acme/b"
}

deny contains msg if {
	glob.match("*.internal", ["."], input.http.host)
	msg := sprintf("%s is internal", [input.http.host])
}
`

const comprehensionsPolicy = `package keyward

default allow := false

allow if {
	tools := {tool | some grant in input.grants; some tool in grant.tools}
	byName := {name: ids | some name in tools; ids := [g.id | some g in input.grants; name in g.tools]}
	lengths := [count(v) | some v in input.mcp.arguments; is_string(v)]
	sum(lengths) < 1000
	count(byName[input.mcp.name]) == 1
	every _, ids in byName { count(ids) > 0 }
}

deny contains label if {
	some label, value in {k: v | some k, v in input.consumer.labels; not startswith(k, "x-")}
	value == "blocked"
}
`

// envoyPolicy does what the authorization policy of OPA's Envoy tutorial does:
// guests read people, administrators add any but themselves.
const envoyPolicy = `package keyward

default allow := false

allow if {
	input.attributes.request.http.method == "GET"
	path == ["people"]
	role == "guest"
}

allow if {
	input.attributes.request.http.method in {"GET", "POST"}
	path == ["people"]
	role == "admin"
	lower(input.parsed_body.firstname) != user
}

path := split(trim(input.attributes.request.http.path, "/"), "/")

credentials := split(base64.decode(encoded), ":") if {
	["Basic", encoded] = split(input.attributes.request.http.headers.authorization, " ")
}

user := credentials[0]

roles := {"alice": "guest", "bob": "admin"}

role := roles[user]
`

const envoyInput = `{"attributes": {"request": {"http": {"method": "POST", "path": "/people", "host": "example.com", "headers": {"authorization": "Basic Ym9iOnBhc3N3b3Jk", "content-type": "application/json", "user-agent": "curl/8.5.0"}}}}, "parsed_body": {"firstname": "Charlie", "lastname": "Opa"}}`

// rbacPolicy does what OPA's example of role-based access control does.
const rbacPolicy = `package keyward

default allow := false

allow if user_is_admin

allow if {
	some grant in user_is_granted
	input.action == grant.action
	input.type == grant.type
}

user_is_admin if "admin" in data.user_roles[input.user]

user_is_granted contains grant if {
	some role in data.user_roles[input.user]
	some grant in data.role_grants[role]
}
`

var rbacData = map[string]any{
	"user_roles": map[string]any{"alice": []any{"admin"}, "bob": []any{"employee", "billing"}, "eve": []any{"customer"}},
	"role_grants": map[string]any{
		"customer": []any{grant("read", "dog"), grant("read", "cat"), grant("adopt", "dog"), grant("adopt", "cat")},
		"employee": []any{grant("read", "dog"), grant("read", "cat"), grant("update", "dog"), grant("update", "cat")},
		"billing":  []any{grant("read", "finance"), grant("update", "finance")},
	},
}

func grant(action, kind string) map[string]any { return map[string]any{"action": action, "type": kind} }
