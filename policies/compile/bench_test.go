package compile

import (
	"os"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/util"

	"keyward/policies/engine"
)

// benchInput is a tools/call that the default policy allows.
const benchInput = `{
	"kind": "mcp",
	"consumer": {"id": "worker-7", "kind": "worker", "labels": {"team": "blue", "tier": "2"}},
	"target": {"id": "github", "kind": "mcp", "labels": {"env": "prod"}},
	"grants": [
		{"id": "g1", "tools": ["list_issues", "get_issue"]},
		{"id": "g2", "tools": ["create_issue"], "arguments": {"create_issue": {"owner": ["acme"], "repo": ["a", "b"]}}, "expires": 4102444800}
	],
	"http": {"method": "POST", "host": "mcp.example.com", "path": "/mcp", "segments": ["mcp"]},
	"mcp": {"revision": "2025-11-25", "kind": "request", "method": "tools/call", "name": "create_issue", "listing": false,
		"arguments": {"owner": "acme", "repo": "b", "title": "A title", "body": "Some text that is a little longer than the title."}}
}`

// BenchmarkDefaultPolicy compares the engine with OPA on one decision: the
// rules allow, deny and ask of the default policy.
func BenchmarkDefaultPolicy(b *testing.B) {
	text, err := os.ReadFile("../../policy.rego")
	if err != nil {
		b.Fatal(err)
	}
	src := Source{Modules: map[string]string{"policy.rego": string(text)}}
	benchmarkOPA(b, string(text))
	benchmarkEngine(b, src)
}

func benchmarkOPA(b *testing.B, text string) {
	query, err := rego.New(rego.Query("a = data.keyward.allow; d = data.keyward.deny"), rego.Module("policy.rego", text)).PrepareForEval(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	eval := func(b *testing.B, input ast.Value) {
		rs, err := query.Eval(b.Context(), rego.EvalParsedInput(input), rego.EvalTime(time.Unix(0, 1)))
		if err != nil || len(rs) != 1 || rs[0].Bindings["a"] != true {
			b.Fatal(rs, err)
		}
	}
	parse := func(b *testing.B) ast.Value {
		var x any
		if err := util.UnmarshalJSON([]byte(benchInput), &x); err != nil {
			b.Fatal(err)
		}
		return ast.MustInterfaceToValue(x)
	}
	b.Run("opa", func(b *testing.B) {
		b.ReportAllocs()
		input := parse(b)
		for b.Loop() {
			eval(b, input)
		}
	})
	b.Run("opa-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			eval(b, parse(b))
		}
	})
}

func benchmarkEngine(b *testing.B, src Source) {
	r, err := Compile(src, Options{})
	if err != nil {
		b.Fatal(err)
	}
	prog, err := engine.Load(r.Program)
	if err != nil {
		b.Fatal(err)
	}
	allow, _ := prog.Entrypoint("keyward/allow")
	deny, _ := prog.Entrypoint("keyward/deny")
	vm := prog.NewVM(engine.Limits{})
	parse := func(b *testing.B) engine.Value {
		v, err := engine.ParseJSON([]byte(benchInput), engine.JSONLimits{})
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
	eval := func(b *testing.B, input engine.Value) {
		vm.Begin(input, 1)
		v, err := vm.Eval(allow)
		if t, _ := v.Bool(); !t || err != nil {
			b.Fatal(v, err)
		}
		if _, err := vm.Eval(deny); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("engine", func(b *testing.B) {
		b.ReportAllocs()
		input := parse(b)
		for b.Loop() {
			eval(b, input)
		}
	})
	b.Run("engine-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			eval(b, parse(b))
		}
	})
}
