package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/plugins/token"
)

const higressObjects = "../../manager/higress/testdata/higress.yaml"

func TestImportHigress(t *testing.T) {
	m := newTestManager(t)
	shown := m.run("import", "higress", "plan", "--from", higressObjects)
	for _, part := range []string{"mcp target", "worker-alice", "every tool", `not mapped: WasmPlugin`, "github.dns is api.githubcopilot.com"} {
		if !strings.Contains(shown, part) {
			t.Errorf("the plan lacks %q:\n%s", part, shown)
		}
	}
	var doc struct {
		Targets []struct{ Target struct{ ID string } }
		Grants  []struct{ Consumer, Target string }
		Left    []string
	}
	if err := json.Unmarshal([]byte(m.run("import", "higress", "plan", "--from", higressObjects, "-o", "json")), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Targets) != 6 || len(doc.Grants) != 3 || len(doc.Left) == 0 {
		t.Errorf("plan = %+v", doc)
	}
	if out := m.run("target", "propose", "--from", higressObjects); strings.Contains(out, "grant") || !strings.Contains(out, "weather") {
		t.Errorf("proposed:\n%s", out)
	}

	dir := t.TempDir()
	first := filepath.Join(dir, "tokens")
	out := m.run("import", "higress", "apply", "--from", higressObjects, "--tokens-to", first)
	if strings.Count(out, "  made  ") != 6+3+3 || strings.Contains(out, token.Prefix) {
		t.Errorf("applied:\n%s", out)
	}
	b, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 3 {
		t.Errorf("%d tokens, want 3", len(lines))
	}
	for _, line := range lines {
		if _, tok, ok := strings.Cut(line, "\t"); !ok || !token.Valid(tok) {
			t.Error("a line holds no token")
		}
	}
	if info, err := os.Stat(first); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the tokens' file: %v, %v", info.Mode(), err)
	}

	out = m.run("import", "higress", "apply", "--from", higressObjects, "--tokens-to", filepath.Join(dir, "again"))
	if strings.Contains(out, "  made  ") || strings.Count(out, "  kept  ") != 6+3+3 {
		t.Errorf("applied again:\n%s", out)
	}
	if out, err := m.try("import", "higress", "apply", "--from", higressObjects, "--tokens-to", first); err == nil {
		t.Errorf("the tokens' file was overwritten:\n%s", out)
	}
	if out, err := m.try("import", "higress", "apply", "--from", "-", "--token-file", "-", "--tokens-to", filepath.Join(dir, "x")); err == nil || !strings.Contains(err.Error(), "standard input") {
		t.Errorf("two files on one standard input: %v\n%s", err, out)
	}
}
