package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"keyward/policies"
	"keyward/policies/compile"
)

const docs = "../../docs/schema"

func TestSchemasAreUpToDate(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil {
			t.Errorf("%v; run go generate ./tools/schema", err)
			continue
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s is stale, run go generate ./tools/schema (-want +got):\n%s", name, d)
		}
	}
}

func resolve(t *testing.T, name string) *jsonschema.Resolved {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(docs, name))
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSnapshotSchema(t *testing.T) {
	whole, err := os.ReadFile("../../plugins/snapshot/testdata/whole.json")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, old, new string
		valid          bool
	}{
		{"the example is valid", "", "", true},
		{"an unknown member is not", `"epoch": "e1"`, `"epoch": "e1", "extra": 1`, false},
		{"null is not", `"grants": [`, `"grants": null, "x": [`, false},
		{"an unknown form is not", `"bearer"`, `"cookie"`, false},
		{"a missing member is not", `"epoch": "e1",`, ``, false},
	}
	r := resolve(t, "snapshot.json")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var v any
			if err := json.Unmarshal([]byte(strings.Replace(string(whole), tt.old, tt.new, 1)), &v); err != nil {
				t.Fatal(err)
			}
			if err := r.Validate(v); (err == nil) != tt.valid {
				t.Errorf("error = %v, want valid %v", err, tt.valid)
			}
		})
	}
}

func TestInputSchemaTakesInputs(t *testing.T) {
	in := policies.Input{
		Kind:     policies.KindMCP,
		Consumer: policies.Consumer{ID: "w", Kind: "worker", Labels: map[string]string{}},
		Target:   policies.Target{ID: "t", Kind: policies.KindMCP, Labels: map[string]string{"a": "b"}},
		Grants:   []policies.Grant{{ID: "g", Tools: []string{"*"}, Arguments: map[string]map[string][]any{"x": {"y": {policies.Number("1"), nil, "s"}}}}},
		HTTP:     policies.HTTP{Method: "POST", Host: "h", Path: "/p", Segments: []string{"p"}},
		MCP:      &policies.MCP{Revision: "2025-11-25", Kind: policies.MCPRequest, Method: "tools/call", Name: "x", Arguments: map[string]any{"y": 1}},
	}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if err := resolve(t, "input.json").Validate(v); err != nil {
		t.Error(err)
	}
}

// OPA's own compiler must read the schema, find the misspelled field and be
// content with the default policy.
func TestOPATakesInputSchema(t *testing.T) {
	schema, err := os.ReadFile(filepath.Join(docs, "input.json"))
	if err != nil {
		t.Fatal(err)
	}
	src, err := compile.Load([]string{"../../policy.rego"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := compile.Check(src, compile.Options{Schema: schema}); err != nil {
		t.Errorf("policy.rego: %v", err)
	}
	src.Modules = map[string]string{"bad.rego": "package keyward\nallow if input.consumer.nickname == \"x\"\n"}
	if err := compile.Check(src, compile.Options{Schema: schema}); err == nil || !strings.Contains(err.Error(), "nickname") {
		t.Errorf("a misspelled field: error = %v", err)
	}
}
