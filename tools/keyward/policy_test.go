package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const cliPolicy = `package keyward

default allow := false

allow if input.consumer == data.trusted

deny contains "night" if time.now_ns() % 86400000000000 < 21600000000000
`

const cliTest = `package keyward_test

import data.keyward

test_trusted_is_allowed if keyward.allow with input as {"consumer": "a"} with data.trusted as "a"

test_other_is_refused if not keyward.allow with input as {"consumer": "b"} with data.trusted as "a"
`

// policyFiles returns a folder with a policy, its data and its tests.
func policyFiles(t *testing.T, extra map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{"policy.rego": cliPolicy, "policy_test.rego": cliTest, "data.json": `{"trusted":"a"}`, "input.json": `{"consumer":"a"}`}
	for name, text := range extra {
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPolicyCommands(t *testing.T) {
	dir := policyFiles(t, map[string]string{"broken.txt": ""})
	bad := policyFiles(t, map[string]string{"policy.rego": "package keyward\nallow if http.send({}).x\ndeny contains 1 if y"})
	failing := policyFiles(t, map[string]string{"policy_test.rego": "package keyward\ntest_it if false"})
	bundle := policyFiles(t, map[string]string{"data.json": `{"trusted":"a"}`, ".manifest": `{"roots":["keyward","trusted","keyward_test"]}`})
	untidy := policyFiles(t, map[string]string{"policy.rego": "package keyward\nallow   if   true\n"})
	conflict := policyFiles(t, map[string]string{"policy.rego": "package keyward\nallow := input.consumer\nallow := 1\n"})
	ask := func(dir string, more ...string) []string {
		return append([]string{"eval", "-d", filepath.Join(dir, "policy.rego"), "-d", filepath.Join(dir, "data.json"), "-i", filepath.Join(dir, "input.json"), "data.keyward.allow"}, more...)
	}
	tests := []struct {
		name    string
		args    []string
		stdin   string
		want    string // in what is written
		wantErr string
	}{
		{name: "a good policy is fine", args: []string{"check", dir}},
		{name: "all errors are told with their place", args: []string{"check", filepath.Join(bad, "policy.rego")}, wantErr: "policy.rego:2:10: rego_type_error: undefined function http.send"},
		{name: "tests pass", args: []string{"test", dir}, want: "PASS: 2/2"},
		{name: "tests are chosen by name", args: []string{"test", "-r", "trusted", "-v", dir}, want: "test_trusted_is_allowed: PASS"},
		{name: "a failed test fails", args: []string{"test", failing}, want: "FAIL", wantErr: "tests failed"},
		{name: "coverage is told", args: []string{"test", "-c", dir}, want: `"coverage"`},
		{name: "coverage below the threshold fails", args: []string{"test", "--threshold", "99", dir}, wantErr: "tests failed"},
		{name: "a rule is evaluated", args: []string{"eval", "-d", dir, "-i", filepath.Join(dir, "input.json"), "data.keyward.allow"}, want: `"value": true`},
		{name: "input comes from standard input", args: []string{"eval", "-f", "raw", "-I", "-d", dir, "keyward/allow"}, stdin: `{"consumer":"b"}`, want: "false\n"},
		{name: "the decision has its own time", args: []string{"eval", "-f", "raw", "-d", dir, "--now", "2026-01-02T03:04:05Z", "data.keyward.deny"}, want: `["night"]`},
		{name: "a rule that is not there", args: []string{"eval", "-d", dir, "keyward/nope"}, wantErr: "no rule"},
		{name: "input that names a member twice", args: []string{"eval", "-I", "-d", dir, "data.keyward.allow"}, stdin: `{"a":1,"a":2}`, wantErr: "duplicate name"},
		{name: "a program is written", args: []string{"compile", "-o", filepath.Join(dir, "out.kwrp"), dir}, want: "keyward/allow keyward/deny"},
		{name: "nothing to read", args: []string{"compile"}, wantErr: "no policy"},
		{name: "the rules that decide are named", args: ask(dir, "-f", "raw", "--rules"), want: "# " + filepath.Join(dir, "policy.rego") + ":5\ntrue\n"},
		{name: "how is told", args: ask(dir, "-f", "pretty", "--explain", "full"), want: "Enter data.keyward.allow"},
		{name: "how the engine did it is told", args: ask(dir, "-f", "pretty", "--explain", "engine"), want: "| Exit data.keyward.allow  # true"},
		{name: "how the engine did it is told as JSON", args: ask(dir, "--explain", "engine"), want: `"op": "Enter"`},
		{name: "how an error came about in the engine", args: ask(conflict, "--explain", "engine"), want: "| Enter data.keyward.allow", wantErr: "eval_conflict_error"},
		{name: "what each part took is told", args: ask(dir, "--metrics"), want: `"timer_rego_query_eval_ns": `},
		{name: "nobody is told who does not ask", args: ask(dir), want: "{\n  \"result\": ["},
		{name: "what each row cost is told", args: ask(dir, "-f", "pretty", "--profile", "--profile-sort", "line"), want: filepath.Join(dir, "policy.rego") + ":5\n"},
		{name: "what each row cost is told as JSON", args: ask(dir, "--profile", "--profile-limit", "1"), want: `"num_eval": `},
		{name: "an unknown order of a profile", args: ask(dir, "--profile-sort", "size"), wantErr: "size"},
		{name: "which rows are reached is told", args: ask(dir, "--coverage"), want: `"not_covered": `},
		{name: "a strict policy is asked", args: ask(dir, "-S"), want: `"value": true`},
		{name: "a policy that is not strict", args: []string{"eval", "-S", "-d", policyFiles(t, map[string]string{"policy.rego": "package keyward\nallow if { x := 1; true }"}), "data.keyward.allow"}, wantErr: "unused"},
		{name: "part of an evaluation", args: ask(dir, "--partial"), wantErr: "whole inputs"},
		{name: "part of an evaluation, in opa's words", args: ask(dir, "--unknowns", "input"), wantErr: "whole inputs"},
		{name: "another engine", args: ask(dir, "--target=wasm"), wantErr: "the gateway's engine"},
		{name: "an older Rego", args: []string{"fmt", "--v0-compatible"}, wantErr: "Rego v1"},
		{name: "no test at all", args: []string{"test", "--fail-on-empty", filepath.Join(dir, "policy.rego")}, wantErr: "tests failed"},
		{name: "how is told as JSON", args: ask(dir, "--explain", "fails"), want: `"explanation": [`},
		{name: "how an error came about", args: ask(conflict, "--explain", "full"), want: "Enter data.keyward.allow", wantErr: "eval_conflict_error"},
		{name: "an unknown explanation", args: ask(dir, "--explain", "some"), wantErr: "some"},
		{name: "a defined rule fails when told so", args: ask(dir, "--fail-defined"), wantErr: "is defined"},
		{name: "a bundle is read", args: []string{"eval", "-f", "values", "-b", bundle, "-i", filepath.Join(dir, "input.json"), "data.keyward.allow"}, want: "true"},
		{name: "tests for a CI system", args: []string{"test", "-f", "junit", dir}, want: `<testsuite name="data.keyward_test" tests="2" failures="0"`},
		{name: "a failed test for a CI system", args: []string{"test", "-f", "junit", failing}, want: `<failure message=`, wantErr: "tests failed"},
		{name: "what is unused is refused when strict", args: []string{"check", "-S", "-f", "json", policyFiles(t, map[string]string{"policy.rego": "package keyward\nallow if { x := 1; true }"})}, want: `"code": "rego_compile_error"`, wantErr: "unused"},
		{name: "what is not formatted is named", args: []string{"fmt", "-l", "--fail", untidy}, want: filepath.Join(untidy, "policy.rego"), wantErr: "not formatted"},
		{name: "standard input is formatted", args: []string{"fmt"}, stdin: "package  a\nx  := 1", want: "package a\n\nx := 1\n"},
		{name: "files are formatted", args: []string{"fmt", "-w", untidy}},
		{name: "and then are", args: []string{"fmt", "-l", "--fail", untidy}},
		{name: "a rule is measured", args: []string{"bench", "--count", "1", "-d", filepath.Join(dir, "policy.rego"), "-d", filepath.Join(dir, "data.json"), "-i", filepath.Join(dir, "input.json"), "keyward/allow"}, want: "times as fast"},
		{name: "an unknown format", args: []string{"eval", "-f", "xml", "-d", dir, "data.keyward.allow"}, wantErr: "xml"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			cmd := newPolicy()
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(tt.args)
			cmd.SetIn(strings.NewReader(tt.stdin))
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			err := cmd.ExecuteContext(t.Context())
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Fatalf("error %v, want %q; wrote:\n%s", err, tt.wantErr, out.String())
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("wrote:\n%s\nwant %q in it", out.String(), tt.want)
			}
		})
	}
}
