package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// TestExplanationNamesWhatMadeTheResult looks for each rule and expression that
// matters in what is told, with its place.
func TestExplanationNamesWhatMadeTheResult(t *testing.T) {
	dir := policyFiles(t, nil)
	policy := filepath.Join(dir, "policy.rego")
	var out bytes.Buffer
	cmd := newPolicy()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"eval", "--explain", "full", "-f", "pretty", "-d", policy, "-d", filepath.Join(dir, "data.json"), "-i", filepath.Join(dir, "input.json"), "data.keyward.allow"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Enter data.keyward.allow", "policy.rego:5", "| Eval input.consumer = data.trusted", "| Exit data.keyward.allow", "true\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
