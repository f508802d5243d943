package hiclaw_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"keyward/manager"
	"keyward/manager/hiclaw"
)

var (
	digestA = "registry.example/worker@sha256:" + strings.Repeat("1", 64)
	digestB = "registry.example/copaw@sha256:" + strings.Repeat("2", 64)
)

func TestImport(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "workers.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var im hiclaw.Import
	err = im.Read("workers.yaml", f, hiclaw.Options{
		Images: map[string]string{"copaw": digestB, "openclaw": digestA}, Targets: map[string]string{"weather": "weather-eu"}, LLM: "llm",
	})
	if err != nil {
		t.Fatal(err)
	}
	all := func(target string) manager.WorkerGrant {
		one := []string{"*"}
		return manager.WorkerGrant{Target: target, GrantSpec: manager.GrantSpec{Tools: one, Prompts: one, Resources: one}}
	}
	llm := manager.WorkerGrant{Target: "llm"}
	want := []manager.NewWorker{
		{ID: "scout", Grants: []manager.WorkerGrant{llm, all("github"), all("weather-eu")}, WorkerSpec: manager.WorkerSpec{
			Image: digestA, Labels: map[string]string{"unit": "search", "hiclaw.model": "qwen3.5-plus", "hiclaw.runtime": "openclaw"},
		}},
		{ID: "scribe", Grants: []manager.WorkerGrant{llm}, WorkerSpec: manager.WorkerSpec{
			Image: digestB, Labels: map[string]string{"hiclaw.model": "claude-sonnet-4-6", "hiclaw.runtime": "copaw", "hiclaw.role": "team_worker", "hiclaw.team": "desk"},
		}},
		{ID: "alpha-lead", Grants: []manager.WorkerGrant{llm}, WorkerSpec: manager.WorkerSpec{
			Image: digestA, Labels: map[string]string{"hiclaw.model": "qwen3.5-plus", "hiclaw.runtime": "openclaw", "hiclaw.role": "team_leader", "hiclaw.team": "alpha"},
		}},
		{ID: "alpha-dev", Grants: []manager.WorkerGrant{llm, all("github")}, WorkerSpec: manager.WorkerSpec{
			Labels: map[string]string{"hiclaw.model": "qwen3.5-plus", "hiclaw.runtime": "openclaw", "hiclaw.role": "team_worker", "hiclaw.team": "alpha"},
		}},
	}
	var got []manager.NewWorker
	left := slices.Clone(im.Left)
	for _, p := range im.Workers {
		got = append(got, p.Worker)
		for _, l := range p.Left {
			left = append(left, p.From+": "+l)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Workers (-want +got):\n%s", d)
	}
	for _, what := range []string{
		"Worker/scout: spec.soul", "Worker/scout: spec.skills", "Worker/scout: spec.expose", "Worker/scout: spec.channelPolicy",
		"Worker/scout: spec.mcpServers[1].url", "Worker/scout: spec.mcpServers[1].transport", "Worker/scribe: spec.hurry: is not known",
		"Worker/scribe: metadata.annotations", "Human/john: people", "Team/alpha: spec.description", "Team/alpha: spec.peerMentions",
		"Team/alpha team_leader alpha-lead: spec.heartbeat", "Team/alpha team_worker alpha-dev: spec.agents", "Team/alpha: a team is a label",
	} {
		if !slices.ContainsFunc(left, func(l string) bool { return strings.HasPrefix(l, what) }) {
			t.Errorf("%s is not named in\n%s", what, strings.Join(left, "\n"))
		}
	}
	if p := im.Workers[0]; !p.Suspended || p.Missing != "" {
		t.Errorf("scout: %+v", p)
	}
	if p := im.Workers[3]; !strings.Contains(p.Missing, "hiclaw/worker-agent:latest") {
		t.Errorf("alpha-dev's image is a tag: %+v", p)
	}
}

const worker = "apiVersion: hiclaw.io/v1beta1\nkind: Worker\nmetadata: {name: a}\n"

func TestRefused(t *testing.T) {
	for name, text := range map[string]string{
		"another API":              "apiVersion: v1\nkind: Worker\nmetadata: {name: a}\nspec: {}",
		"no name":                  "apiVersion: hiclaw.io/v1beta1\nkind: Worker\nspec: {}",
		"a name that is a path":    "apiVersion: hiclaw.io/v1beta1\nkind: Worker\nmetadata: {name: ../a}\nspec: {}",
		"a member twice":           worker + "spec: {model: a, model: b}",
		"the same Worker twice":    worker + "spec: {}\n---\n" + worker + "spec: {}",
		"a number for a text":      worker + "spec: {model: 4}",
		"a truth for a name":       worker + "spec: {yes: 1, true: 2}",
		"a text for a list":        worker + "spec: {mcpServers: github}",
		"a server without a name":  worker + "spec: {mcpServers: [{url: x}]}",
		"a server that is a path":  worker + "spec: {mcpServers: [../../admin]}",
		"a label of two lines":     worker + "spec: {model: \"a\\nb\"}",
		"an alias":                 worker + "spec: {model: &m x, soul: *m}",
		"merged members":           worker + "spec: {<<: {model: x}}",
		"a tag of its own":         worker + "spec: {model: !exec x}",
		"no YAML":                  "\x00",
		"a list for an object":     "- a\n- b",
		"more levels than anybody": worker + "spec: {channelPolicy: " + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}",
		"more than anybody":        worker + "spec: {soul: \"" + strings.Repeat("x", hiclaw.MaxBytes) + "\"}",
		"an item of another kind":  "apiVersion: v1\nkind: List\nitems: [1]",
	} {
		var im hiclaw.Import
		if err := im.Read(name, strings.NewReader(text), hiclaw.Options{}); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", name, err)
		}
		if len(im.Workers)+len(im.Left) > 0 {
			t.Errorf("%s: %+v", name, im)
		}
	}
}

// FuzzRead: whatever is read, each Worker of it could be made if its image were
// known, has no grant that was not asked for, and every member of its spec is
// either taken over or named.
func FuzzRead(f *testing.F) {
	whole, err := os.ReadFile(filepath.Join("testdata", "workers.yaml"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(whole))
	f.Add(worker + "spec: {model: x, mcpServers: [github], skills: [a], strange: {a: b}}")
	f.Add(worker + "spec:\n  image: a@sha256:" + strings.Repeat("0", 64))
	taken := map[string]bool{"image": true, "runtime": true, "model": true, "mcpServers": true, "teamRef": true, "role": true, "state": true}
	f.Fuzz(func(t *testing.T, text string) {
		var im hiclaw.Import
		if im.Read("f", strings.NewReader(text), hiclaw.Options{}) != nil {
			return
		}
		for _, p := range im.Workers {
			n := p.Worker
			if p.Missing != "" {
				n.Image = digestA
			}
			if err := n.Validate(); err != nil {
				t.Errorf("%+v: %v", p, err)
			}
			if len(n.Grants) != len(p.MCP) {
				t.Errorf("grants for %+v, asked for %q", n.Grants, p.MCP)
			}
		}
		if len(im.Workers) != 1 || !strings.HasPrefix(im.Workers[0].From, "Worker/") {
			return
		}
		var doc struct{ Spec map[string]yaml.Node }
		if yaml.Unmarshal([]byte(text), &doc) != nil {
			return
		}
		for key := range doc.Spec {
			if named := func(l string) bool { return strings.HasPrefix(l, fmt.Sprintf("spec.%s: ", key)) }; !taken[key] && !slices.ContainsFunc(im.Workers[0].Left, named) {
				t.Errorf("%q is not named in %q", key, im.Workers[0].Left)
			}
		}
	})
}
