package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/plugins/seal/unseal"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
)

const sealedCanary = "ghp_CanaryOfTheCommandLine"

// run runs the whole command line and returns all that it writes.
func run(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newRoot()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.ExecuteContext(t.Context())
	text := out.String()
	if err != nil {
		text += err.Error()
	}
	if strings.Contains(text, sealedCanary) || strings.Contains(text, unseal.PrivatePrefix) {
		t.Errorf("keyward %s writes a secret:\n%s", strings.Join(args, " "), text)
	}
	return out.String(), err
}

func mustRun(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := run(t, stdin, args...)
	if err != nil {
		t.Fatalf("keyward %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// field is the value behind a name in the output of a command.
func field(t *testing.T, out, name string) string {
	t.Helper()
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("no %s in:\n%s", name, out)
	return ""
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const builtPolicy = "package keyward\n\ndefault allow := false\n\nallow if count(input.grants) > 0\n"

const builtSource = `policy: [policy.rego]
targets:
  - {id: github, kind: mcp, match: [{path: /github}], credential: github, inject: {form: bearer}}
consumers:
  - id: worker-1
    kind: worker
    state: %s
    tokens: [{id: %s, sha256: "%s"}]
    grants: [{id: g1, target: github, tools: [issues_list]}]
credentials:
  - %s
`

// From a gateway key, a token and a real key to a snapshot that a gateway opens.
func TestSnapshotIsBuilt(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	mustRun(t, "", "gateway", "keygen", "-o", at("gateway"))
	tok := mustRun(t, "", "token", "new")
	if digest := mustRun(t, field(t, tok, "token")+"\n", "token", "digest"); !strings.HasSuffix(tok, digest) {
		t.Errorf("token digest wrote %q, token new %q", digest, tok)
	}
	entry := mustRun(t, sealedCanary+"\n", "seal", "--key", at("gateway.pub"), "--credential", "github", "--version", "3", "--host", "api.github.com")

	write(t, at("policy.rego"), builtPolicy)
	for i, state := range []string{"active", "suspended"} {
		write(t, at("keyward.yaml"), fmt.Sprintf(builtSource, state, field(t, tok, "id"), field(t, tok, "sha256"), entry))
		out := mustRun(t, "", "snapshot", "build", "-f", at("keyward.yaml"), "-o", at(state+".json"), "--generation", fmt.Sprint(i+1))
		if check := mustRun(t, "", "snapshot", "check", at(state+".json")); check != out || !strings.Contains(out, "1 targets, 1 consumers, 1 credentials, policy ") {
			t.Errorf("check wrote %q, build %q", check, out)
		}
	}

	view := load(t, at("active.json"))
	if c, _, ok := view.Consumer(token.Digest(field(t, tok, "token"))); !ok || c.ID != "worker-1" {
		t.Errorf("the token's consumer is %v", c)
	}
	private, err := os.ReadFile(at("gateway.key"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := unseal.ParseKeys(string(private))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := view.Credential("github")
	if secret, err := unseal.Open(keys, c); err != nil || string(secret.Reveal()) != sealedCanary {
		t.Errorf("the gateway opens %v, %v", secret, err)
	}

	mustRun(t, "", "snapshot", "diff", at("active.json"), at("suspended.json"), "-o", at("delta.json"))
	b, err := os.ReadFile(at("delta.json"))
	if err != nil {
		t.Fatal(err)
	}
	delta, err := snapshot.Decode(b)
	if err != nil || len(delta.Consumers) != 1 || delta.Targets != nil || delta.Policy != nil {
		t.Fatalf("delta %+v, %v", delta, err)
	}
	if err := view.Apply(delta); err != nil {
		t.Error(err)
	}
}

func load(t *testing.T, name string) *snapshot.View {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	v, err := snapshot.Load(b)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSecretsAndSnapshotsAreRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	mustRun(t, "", "gateway", "keygen", "-o", at("gateway"))
	pub := []string{"seal", "--key", at("gateway.pub"), "--credential"}
	write(t, at("bad.yaml"), "targets:\n  - id: A\n")
	write(t, at("rego.yaml"), "policy: [bad.rego]\n")
	write(t, at("bad.rego"), "package keyward\nallow if x\n")
	write(t, at("good.yaml"), "targets: []\n")
	mustRun(t, "", "snapshot", "build", "-f", at("good.yaml"), "-o", at("good.json"))
	write(t, at("bad.json"), "{\n  \"format\": \"x\"\n}")
	write(t, at("program.json"), `{"format":"keyward.snapshot/1","epoch":"e","generation":1,"policy":{"version":"v","program":"AAAA"}}`)
	tests := []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"a gateway key is not overwritten", "", []string{"gateway", "keygen", "-o", at("gateway")}, "exists"},
		{"no key to seal", "", append(pub, "a"), "nothing to read"},
		{"a key with a line break in it", "ghp_0123\n456789\n", append(pub, "a"), "control characters"},
		{"a key too short", "short\n", append(pub, "a"), "8 to 4096"},
		{"a placeholder", "${secret.a/b}\n", append(pub, "a"), "placeholder"},
		{"a bad ID", sealedCanary, append(pub, "A/b"), "/id"},
		{"version zero", sealedCanary, append(pub, "a", "--version", "0"), "/version"},
		{"a host with a port", sealedCanary, append(pub, "a", "--host", "a:443"), "without port"},
		{"a key as an argument", "", append(pub, "a", sealedCanary[:8]), "unknown command"},
		{"the private key in place of the public one", sealedCanary, []string{"seal", "--key", at("gateway.key"), "--credential", "a"}, "not a gateway key"},
		{"a mistyped token", "kwt_0000000000000000000000000000000000000000000000000", []string{"token", "digest"}, "mistyped"},
		{"what is no token", "ghp_0123456789", []string{"token", "digest"}, "not in the form"},
		{"a source with an error", "", []string{"snapshot", "build", "-f", at("bad.yaml"), "-o", at("x.json")}, "bad.yaml: line 2, column 5: /targets/0/kind"},
		{"a policy with an error", "", []string{"snapshot", "build", "-f", at("rego.yaml"), "-o", at("x.json")}, "bad.rego:2:10"},
		{"a snapshot with an error", "", []string{"snapshot", "check", at("bad.json")}, "bad.json: line 2, column 13: /format"},
		{"a program that the gateway does not run", "", []string{"snapshot", "check", at("program.json")}, "/policy/program"},
		{"a delta between equal generations", "", []string{"snapshot", "diff", at("good.json"), at("good.json")}, "not the greater one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := run(t, tt.stdin, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q; wrote:\n%s", err, tt.want, out)
			}
			if _, err := os.Stat(at("x.json")); err == nil {
				t.Error("a snapshot was written")
			}
		})
	}
}
