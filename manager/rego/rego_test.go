package rego_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"keyward/manager"
	"keyward/manager/rego"
	"keyward/policies/engine"
)

func policy(files ...string) manager.PolicySource {
	s := manager.PolicySource{Modules: map[string]string{}, Data: json.RawMessage(`{"team":"blue"}`)}
	for i := 0; i < len(files); i += 2 {
		s.Modules[files[i]] = files[i+1]
	}
	return s
}

const good = "package keyward\n\nallow if input.consumer.labels.team == data.team\n"

func TestCompile(t *testing.T) {
	program, err := rego.Compiler{}.Compile(t.Context(), policy("policy.rego", good))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Load(program); err != nil {
		t.Errorf("the engine does not take the program: %v", err)
	}
	for name, text := range map[string]string{
		"a syntax error":    "package keyward\n\nallow if {",
		"an unknown name":   "package keyward\n\nallow if nothing",
		"a network builtin": "package keyward\n\nallow if http.send({\"method\": \"get\", \"url\": \"http://x\"})",
	} {
		var pe *manager.PolicyError
		_, err := rego.Compiler{}.Compile(t.Context(), policy("policy.rego", text))
		if !errors.As(err, &pe) || pe.Faults[0].File != "policy.rego" || pe.Faults[0].Row != 3 || !errors.Is(err, manager.ErrInvalid) {
			t.Errorf("%s: %v, want a fault in policy.rego:3", name, err)
		}
	}
	if _, err := (rego.Compiler{}).Compile(t.Context(), policy("policy.rego", "package other\n\nx := 1")); !errors.Is(err, manager.ErrInvalid) {
		t.Errorf("a policy without entrypoint: %v, want %v", err, manager.ErrInvalid)
	}
}

func TestTests(t *testing.T) {
	const passes = "package keyward_test\n\nimport data.keyward\n\ntest_blue if keyward.allow with input as {\"consumer\": {\"labels\": {\"team\": \"blue\"}}}\n"
	got, err := rego.Compiler{}.Test(t.Context(), policy("policy.rego", good, "policy_test.rego", passes))
	if err != nil || !got.Passed {
		t.Errorf("tests = %+v, %v, want them passed", got, err)
	}
	bare := policy("policy.rego", good)
	bare.Data = nil
	if got, err := (rego.Compiler{}).Test(t.Context(), bare); err != nil || !got.Passed {
		t.Errorf("without tests and data: %+v, %v, want it passed", got, err)
	}
	fails := strings.Replace(passes, `"blue"}`, `"red"}`, 1)
	if got, err = (rego.Compiler{}).Test(t.Context(), policy("policy.rego", good, "policy_test.rego", fails)); err != nil || got.Passed || !strings.Contains(got.Report, "test_blue") {
		t.Errorf("tests = %+v, %v, want test_blue failed", got, err)
	}
}
