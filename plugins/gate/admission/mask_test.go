package admission_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"keyward/plugins/filter/filtertest"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/policies/compile"
)

// callWith is a call of the tool read with arguments.
func callWith(arguments string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":` + arguments + `}}`
}

// recorded calls with arguments and returns the record.
func recorded(t *testing.T, g *liveGate, tok, arguments string) policies.Record {
	t.Helper()
	g.records = nil
	filtertest.Run(g, filtertest.Exchange{Request: post(tok, callWith(arguments))})
	g.pass(200 * time.Millisecond)
	if len(g.records) != 1 {
		t.Fatalf("%d records", len(g.records))
	}
	return g.records[0]
}

func TestKeptArgumentsHoldNoSecret(t *testing.T) {
	tok := newToken(t, "k")
	g := audited(t, tok, &snapshot.Audit{Arguments: true})
	long := strings.Repeat("x", 30)
	for _, secret := range []string{
		"ghp_" + long, "github_pat_" + long, "sk-proj-" + long, "AKIAABCDEFGHIJKLMNOP", "xoxb-1234567890-abcdefghij",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "kwa_" + long, "glpat-" + long, "Bearer " + long, "AIza" + long,
	} {
		for _, place := range []string{secret, "key: " + secret + ".", "https://x/?a=" + secret, "(" + secret + ")", "\"" + secret + "\""} {
			b, err := json.Marshal(map[string]any{"a": []any{map[string]any{"b": place}}})
			if err != nil {
				t.Fatal(err)
			}
			r := recorded(t, g, tok, string(b))
			if strings.Contains(string(r.Arguments), long[:12]) || !strings.Contains(string(r.Arguments), "***") ||
				len(r.Masked) != 1 || r.Masked[0] != "/arguments/a/0/b" {
				t.Errorf("%q is kept as %s, masked %q", place, r.Arguments, r.Masked)
			}
		}
	}
	r := recorded(t, g, tok, `{"password":"x","title":"the key of a task-force","n":{"api_key":[1]},"m":9007199254740992}`)
	if want := `{"m":9007199254740992,"n":{"api_key":"***"},"password":"***","title":"the key of a task-force"}`; string(r.Arguments) != want {
		t.Errorf("arguments = %s, want %s", r.Arguments, want)
	}
	pem := recorded(t, g, tok, `{"a":"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"}`)
	if want := `{"a":"***"}`; string(pem.Arguments) != want {
		t.Errorf("arguments = %s, want %s", pem.Arguments, want)
	}
}

func TestArgumentsBeyondABoundAreErased(t *testing.T) {
	tok := newToken(t, "k")
	g := audited(t, tok, &snapshot.Audit{Arguments: true})
	for name, arguments := range map[string]string{
		"large":        `{"a":"` + strings.Repeat("y", policies.MaxRecordArguments) + `"}`,
		"deep":         `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
		"many secrets": `{"a":[` + strings.TrimSuffix(strings.Repeat(`"Bearer abcdefghijklmnop",`, 20), ",") + `]}`,
		"long pointer": `{"` + strings.Repeat("z", 300) + `":{"password":1}}`,
	} {
		r := recorded(t, g, tok, arguments)
		if r.Arguments != "" || len(r.Erased) != 1 || r.Erased[0] != "/arguments" || len(r.Digest) != 64 {
			t.Errorf("%s: arguments %.80s, erased %q", name, r.Arguments, r.Erased)
		}
	}
}

func TestThePolicyMasksArguments(t *testing.T) {
	tok := newToken(t, "k")
	for name, tt := range map[string]struct{ mask, want, erased, replaced string }{
		"a path":      {`mask contains "/input/mcp/arguments/a"`, `{"b":{"c":1},"d":[1,2]}`, "/arguments/a", ""},
		"a condition": {`mask contains "/input/mcp/arguments/b/c" if input.input.mcp.name == "read"`, `{"a":"x","b":{},"d":[1,2]}`, "/arguments/b/c", ""},
		"an element":  {`mask contains "/input/mcp/arguments/d/0"`, `{"a":"x","b":{"c":1},"d":[null,2]}`, "/arguments/d/0", ""},
		"all":         {`mask contains "/input/mcp/arguments"`, ``, "/arguments", ""},
		"upsert": {
			`mask contains {"op": "upsert", "path": "/input/mcp/arguments/b", "value": "hidden"}`, `{"a":"x","b":"hidden","d":[1,2]}`, "", "/arguments/b",
		},
		"elsewhere":                 {`mask contains "/input/http/host"`, `{"a":"x","b":{"c":1},"d":[1,2]}`, "", ""},
		"what is not a mask":        {`mask := "/input/mcp/arguments/a"`, ``, "/arguments", ""},
		"an operation nobody knows": {`mask contains {"op": "move", "path": "/input/mcp/arguments/a"}`, ``, "/arguments", ""},
	} {
		g := newLiveGate(t)
		g.configure(t, nil)
		s := snapshotOf(t, tok)
		s.Targets[0].Audit = &snapshot.Audit{Arguments: true}
		s.Policy = maskingPolicy(t, tt.mask)
		g.publish(t, s)
		r := recorded(t, g, tok, `{"a":"x","b":{"c":1},"d":[1,2]}`)
		if string(r.Arguments) != tt.want || strings.Join(r.Erased, " ") != tt.erased || strings.Join(r.Masked, " ") != tt.replaced {
			t.Errorf("%s: arguments %s, erased %q, masked %q", name, r.Arguments, r.Erased, r.Masked)
		}
	}
}

// maskingPolicy is the default policy with a mask.
func maskingPolicy(t *testing.T, mask string) *snapshot.Policy {
	t.Helper()
	src, err := os.ReadFile("../../../policy.rego")
	if err != nil {
		t.Fatal(err)
	}
	r, err := compile.Compile(compile.Source{Modules: map[string]string{
		"policy.rego": string(src), "mask.rego": "package keyward.log\n\n" + mask + "\n",
	}}, compile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &snapshot.Policy{Version: "masking", Program: r.Program}
}
