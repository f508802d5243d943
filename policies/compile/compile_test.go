package compile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/policies/engine"
)

const examplePolicy = `package keyward

# METADATA
# title: May it go on?
# entrypoint: true
default allow := false

allow if {
	some grant in input.grants
	input.mcp.name in grant.tools
}

allow if input.consumer.kind == data.trusted

# METADATA
# title: Too much at once
deny contains "too many" if {
	input.n > 10
}

deny contains msg if {
	some label, value in input.consumer.labels
	value == "blocked"
	msg := label
}
`

// run compiles a policy and asks for one of its entrypoints.
func run(t *testing.T, src Source, entrypoint, input string) (engine.Value, *engine.VM, error) {
	t.Helper()
	r, err := Compile(src, Options{Entrypoints: []string{entrypoint}, Wide: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Load(r.Program)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := p.Entrypoint(entrypoint)
	if !ok {
		t.Fatalf("no entrypoint %q", entrypoint)
	}
	vm := p.NewVM(engine.Limits{})
	v, err := engine.ParseJSON([]byte(input), engine.JSONLimits{})
	if err != nil {
		t.Fatal(err)
	}
	vm.Begin(v, 0)
	got, err := vm.Eval(e)
	return got, vm, err
}

func TestCompiledPolicyDecides(t *testing.T) {
	src := Source{Modules: map[string]string{"p.rego": examplePolicy}, Data: map[string]any{"trusted": "human"}}
	tests := []struct {
		name, entrypoint, input, want string
		rules                         []string // each with its title
	}{
		{name: "a grant allows", entrypoint: "keyward/allow", input: `{"grants":[{"tools":["x"]},{"tools":["y"]}],"mcp":{"name":"y"}}`, want: "true", rules: []string{"p.rego:8 May it go on?"}},
		{name: "data allows", entrypoint: "keyward/allow", input: `{"consumer":{"kind":"human"}}`, want: "true", rules: []string{"p.rego:13 May it go on?"}},
		{name: "nothing allows", entrypoint: "keyward/allow", input: `{}`, want: "false", rules: []string{"p.rego:6 May it go on?"}},
		{name: "reasons are collected", entrypoint: "keyward/deny", input: `{"n":11,"consumer":{"labels":{"b":"blocked","a":"blocked","c":""}}}`, want: `["a","b","too many"]`, rules: []string{"p.rego:17 Too much at once", "p.rego:21"}},
		{name: "no reasons", entrypoint: "keyward/deny", input: `{"n":10}`, want: `[]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, vm, err := run(t, src, tt.entrypoint, tt.input)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
			var rules []string
			for _, r := range vm.AppendRules(nil) {
				if r.Name != r.Location.String() {
					t.Errorf("%q is at %s", r.Name, r.Location)
				}
				rules = append(rules, strings.TrimSpace(r.Name+" "+r.Title))
			}
			if diff := cmp.Diff(tt.rules, rules); diff != "" {
				t.Errorf("deciding rules (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompileIsDeterministic(t *testing.T) {
	src := Source{Modules: map[string]string{"p.rego": examplePolicy, "q.rego": "package q\nx := 1"}, Data: map[string]any{"trusted": "human", "b": 1.5, "a": []any{nil}}}
	a, err := Compile(src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Compile(src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Program, b.Program) || a.Version != b.Version {
		t.Error("two compilations of one policy differ")
	}
	if diff := cmp.Diff([]string{"keyward/allow", "keyward/deny"}, a.Entrypoints); diff != "" {
		t.Errorf("entrypoints (-want +got):\n%s", diff)
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct {
		name, policy string
		data         map[string]any
		schema       string
		want         []string
	}{
		{name: "a syntax error", policy: "package keyward\nallow if {", want: []string{"p.rego:2:10: rego_parse_error"}},
		{name: "network access", policy: "package keyward\nallow if http.send({}).status == 200", want: []string{"p.rego:2:10: rego_type_error: undefined function http.send"}},
		{name: "what is not in, each by name", policy: "package keyward\nallow if rand.intn(\"x\", 2) == 1\nask if uuid.rfc4122(\"\") == \"\"\ndeny contains 1 if opa.runtime().x", want: []string{"rand.intn", "uuid.rfc4122", "opa.runtime"}},
		{name: "recursion", policy: "package keyward\nallow if ask\nask if allow", want: []string{"rego_recursion_error"}},
		{name: "unsafe variables", policy: "package keyward\nallow if x == 1", want: []string{"rego_unsafe_var_error"}},
		{name: "no entrypoint at all", policy: "package other\nallow := true", want: []string{"no rule for any entrypoint"}},
		{name: "rules and data at one place", policy: "package keyward\nallow := true", data: map[string]any{"keyward": map[string]any{"allow": false}}, want: []string{"conflicting"}},
		{name: "what the input never has", policy: "package keyward\nallow if input.consumr == 1", schema: `{"type":"object","properties":{"consumer":{"type":"string"}},"additionalProperties":false}`, want: []string{"p.rego:2:10: rego_type_error: undefined ref: input.consumr"}},
		{name: "v0 syntax", policy: "package keyward\nallow { true }", want: []string{"rego_parse_error"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var schema []byte
			if tt.schema != "" {
				schema = []byte(tt.schema)
			}
			_, err := Compile(Source{Modules: map[string]string{"p.rego": tt.policy}, Data: tt.data}, Options{Schema: schema, Wide: true})
			if err == nil {
				t.Fatal("compiled")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			var errs Errors
			if errors.As(err, &errs) && len(errs) == 0 {
				t.Error("an empty list of errors")
			}
		})
	}
}

func TestAPolicyWithoutDataCanBeTested(t *testing.T) {
	src := Source{Modules: map[string]string{"a_test.rego": "package a_test\ntest_a if 1 == 1"}}
	if err := Test(t.Context(), src, TestOptions{}, io.Discard); err != nil {
		t.Error(err)
	}
}

func TestTestsMayUseWhatTheGatewayLacks(t *testing.T) {
	const policy = "package keyward\n\nallow if input.kind == \"mcp\"\n"
	test := func(body string) map[string]string {
		return map[string]string{"policy.rego": policy, "policy_test.rego": "package keyward\n\ntest_it if {\n\t" + body + "\n}\n"}
	}
	with := test(`sprintf("%d", [1]) == "1"`)
	got, err := Compile(Source{Modules: with}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Compile(Source{Modules: map[string]string{"policy.rego": policy}}, Options{})
	if err != nil || !bytes.Equal(got.Program, plain.Program) {
		t.Errorf("a test changed the program, %v", err)
	}
	if err := Check(Source{Modules: with}, Options{}); err != nil {
		t.Error(err)
	}
	var errs Errors
	if err := Check(Source{Modules: test("http.send({})")}, Options{}); !errors.As(err, &errs) || len(errs) != 1 || errs[0].File != "policy_test.rego" {
		t.Errorf("a test that OPA would not run: %v", err)
	}
	both := test("nothing.there")
	both["policy.rego"] += "\nallow if sprintf(\"%d\", [1]) == \"2\"\n"
	if err := Check(Source{Modules: both}, Options{}); !errors.As(err, &errs) || len(errs) != 2 {
		t.Errorf("a policy and a test, both at fault: %v", err)
	}
	if _, err := Compile(Source{Modules: map[string]string{"a_test.rego": policy}}, Options{}); !errors.Is(err, ErrNoEntrypoint) {
		t.Errorf("a policy of tests alone: %v", err)
	}
}
