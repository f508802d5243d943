package compile

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"keyward/policies/engine"
)

// TestPatternsOutliveTheirRequest reads one request after the other into the same
// memory, as a gateway does: a pattern that is kept must not change with it.
func TestPatternsOutliveTheirRequest(t *testing.T) {
	for _, rule := range []string{
		`allow if regex.match(input.p, input.s)`,
		`allow if glob.match(input.p, ["."], input.s)`,
		`allow if json.match_schema({"s": input.s}, {"properties": {"s": {"pattern": input.p}}})[0]`,
	} {
		r, err := Compile(Source{Modules: map[string]string{"p.rego": "package keyward\n" + rule}}, Options{Wide: true})
		if err != nil {
			t.Fatal(err)
		}
		prog, err := engine.Load(r.Program)
		if err != nil {
			t.Fatal(err)
		}
		allow, _ := prog.Entrypoint("keyward/allow")
		vm := prog.NewVM(engine.Limits{})
		var reader engine.JSONReader
		body := make([]byte, 0, 100)
		for i := range 2000 {
			body = fmt.Appendf(body[:0], `{"p":"p%04d","s":"p%04d"}`, i, i)
			input, err := reader.Read(body, engine.JSONLimits{})
			if err != nil {
				t.Fatal(err)
			}
			vm.Begin(input, 0)
			if v, err := vm.Eval(allow); err != nil || v.IsUndefined() {
				t.Fatalf("%s: pattern %d: %v, %v", rule, i, v, err)
			}
		}
	}
}

// TestPatternsOfAPolicyAreToldApart has more patterns in a policy than are kept by
// their place, as regular expressions and as globs.
func TestPatternsOfAPolicyAreToldApart(t *testing.T) {
	var policy strings.Builder
	policy.WriteString("package keyward\n")
	for i := range 80 {
		fmt.Fprintf(&policy, "deny contains %d if regex.match(\"^p%d$\", input.s)\n", i, i)
		fmt.Fprintf(&policy, "deny contains %d if glob.match(\"p%d\", [\".\"], input.s)\n", 1000+i, i)
		fmt.Fprintf(&policy, "deny contains %d if glob.match(\"p%d\", [\"/\"], input.s)\n", 2000+i, i)
	}
	r, err := Compile(Source{Modules: map[string]string{"p.rego": policy.String()}}, Options{Wide: true})
	if err != nil {
		t.Fatal(err)
	}
	prog, err := engine.Load(r.Program)
	if err != nil {
		t.Fatal(err)
	}
	deny, _ := prog.Entrypoint("keyward/deny")
	vm := prog.NewVM(engine.Limits{})
	for i := range 160 {
		n := i * 7 % 80
		input, err := engine.ParseJSON(fmt.Appendf(nil, `{"s":"p%d"}`, n), engine.JSONLimits{})
		if err != nil {
			t.Fatal(err)
		}
		vm.Begin(input, 0)
		if v, err := vm.Eval(deny); err != nil || v.String() != fmt.Sprintf("[%d,%d,%d]", n, 1000+n, 2000+n) {
			t.Fatalf("p%d: %v, %v", n, v, err)
		}
	}
}

// TestDecisionsDoNotAllocate asks, once warm, the default policy about a call, and
// a policy that makes texts.
func TestDecisionsDoNotAllocate(t *testing.T) {
	file, err := os.ReadFile("../../policy.rego")
	if err != nil {
		t.Fatal(err)
	}
	const call = `{"kind":"mcp","consumer":{"id":"w-1","kind":"worker","labels":{"Team":"Blue"}},"target":{"id":"github"},"grants":[{"id":"g","tools":["get_issue"]}],"mcp":{"kind":"request","method":"tools/call","name":"get_issue","arguments":{"n":1}}}`
	for name, tt := range map[string]struct {
		policy string
		most   float64
	}{
		"default": {string(file), 0},
		"text": {`package keyward
allow if {
	regex.match("^[a-z]+_issue$", input.mcp.name)
	lower(input.consumer.labels.Team) == "blue"
	split(input.mcp.method, "/")[1] == "call"
	sprintf("%s/%d", [input.target.id, input.mcp.arguments.n]) == concat("/", [input.target.id, "1"])
	glob.match("w-*", ["."], input.consumer.id)
}`, 0.9}, // of blocks that texts share
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Compile(Source{Modules: map[string]string{"policy.rego": tt.policy}}, Options{Wide: true})
			if err != nil {
				t.Fatal(err)
			}
			prog, err := engine.Load(r.Program)
			if err != nil {
				t.Fatal(err)
			}
			vm := prog.NewVM(engine.Limits{})
			var reader engine.JSONReader
			var points []engine.Entrypoint
			for _, name := range prog.Entrypoints() {
				e, _ := prog.Entrypoint(name)
				points = append(points, e)
			}
			body, allowed := []byte(call), false
			decide := func() {
				input, err := reader.Read(body, engine.JSONLimits{})
				if err != nil {
					t.Fatal(err)
				}
				vm.Begin(input, 0)
				for i, e := range points {
					v, err := vm.Eval(e)
					if err != nil {
						t.Fatal(err)
					}
					if i == 0 {
						allowed, _ = v.Bool()
					}
				}
			}
			if n := testing.AllocsPerRun(200, decide); n > tt.most || !allowed {
				t.Errorf("%v allocations a decision, allowed: %v", n, allowed)
			}
		})
	}
}
