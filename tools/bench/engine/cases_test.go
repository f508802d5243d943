package main

import (
	"testing"

	"keyward/policies/compile"
	"keyward/policies/engine"
)

func TestEveryCaseIsAllowedByBoth(t *testing.T) {
	all, err := cases("../../../policy.rego")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			r, err := compile.Compile(compile.Source{Modules: map[string]string{"policy.rego": c.policy}, Data: c.data}, compile.Options{Wide: true})
			if err != nil {
				t.Fatal(err)
			}
			byOPA, err := opa(t.Context(), c, r.Entrypoints)
			if err != nil {
				t.Fatal(err)
			}
			v, err := opaInput(c.input)
			if err != nil {
				t.Fatal(err)
			}
			if err := byOPA(v); err != nil {
				t.Error("OPA:", err)
			}
			byEngine, err := native(r)
			if err != nil {
				t.Fatal(err)
			}
			input, err := engine.ParseJSON([]byte(c.input), engine.JSONLimits{})
			if err != nil {
				t.Fatal(err)
			}
			if err := byEngine(input); err != nil {
				t.Error("engine:", err)
			}
		})
	}
}
