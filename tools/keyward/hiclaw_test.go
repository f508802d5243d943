package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/manager"
)

const hiclawObjects = "../../manager/hiclaw/testdata/workers.yaml"

func TestImportHiclaw(t *testing.T) {
	m := newTestManager(t)
	image := "registry.example/worker@sha256:" + strings.Repeat("1", 64)
	args := []string{"import", "hiclaw", hiclawObjects, "--llm", "llm", "--image", "openclaw=" + image, "--image", "copaw=" + image}
	workers := func() (list []manager.WatchedWorker) {
		t.Helper()
		if err := json.Unmarshal([]byte(m.run("worker", "list", "-o", "json")), &list); err != nil {
			t.Fatal(err)
		}
		return list
	}

	out, err := m.try(append(args, "--apply")...)
	for _, part := range []string{`no target "github"`, `no target "llm"`, "hiclaw/worker-agent:latest", "not mapped: Human/john", "not mapped: Worker/scout: spec.soul"} {
		if !strings.Contains(out, part) {
			t.Errorf("the plan lacks %q:\n%s", part, out)
		}
	}
	if err == nil || !strings.Contains(err.Error(), "nothing was done") || len(workers()) != 0 {
		t.Fatalf("what can't be made whole: %v, %d Workers", err, len(workers()))
	}

	for id, kind := range map[string]string{"github": "mcp", "weather": "mcp", "llm": "llm"} {
		m.run("target", "create", id, "--kind", kind, "--path", "/"+id)
	}
	args = append(args, "--image", "hiclaw/worker-agent:latest="+image)
	if out := m.run(args...); strings.Count(out, "  create  ") != 4 || strings.Contains(out, "MISSING") || len(workers()) != 0 {
		t.Errorf("the plan:\n%s", out)
	}
	if out := m.run(append(args, "--apply")...); strings.Count(out, "  created  ") != 4 {
		t.Errorf("applied:\n%s", out)
	}
	suspended := 0
	for _, w := range workers() {
		if w.Suspended {
			suspended++
		}
	}
	if len(workers()) != 4 || suspended != 1 {
		t.Errorf("%d Workers, %d suspended", len(workers()), suspended)
	}
	if out := m.run("grant", "list", "--consumer", "worker-alpha-dev"); !strings.Contains(out, "github") || !strings.Contains(out, "llm") {
		t.Errorf("its grants:\n%s", out)
	}
	if out := m.run(append(args, "--apply")...); strings.Count(out, "  nothing  ") != 4 {
		t.Errorf("again:\n%s", out)
	}

	b, err := os.ReadFile(hiclawObjects)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "changed.yaml")
	text := strings.Replace(string(b), "agents: \"be brief\"", "runtime: hermes", 1)
	text = strings.Replace(text, "mcpServers: [github]", "mcpServers: [github, weather]", 1)
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args[2] = changed
	if out := m.run(append(args, "--apply")...); strings.Count(out, "  changed  ") != 1 || !strings.Contains(out, "grant for weather") {
		t.Errorf("changed:\n%s", out)
	}
	if out := m.run(append(args, "-o", "json")...); !strings.Contains(out, `"does": "nothing"`) || strings.Contains(out, `"does": "change"`) {
		t.Errorf("after it:\n%s", out)
	}
}
