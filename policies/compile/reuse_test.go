package compile

import (
	"fmt"
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
