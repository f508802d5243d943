package higress_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/manager/higress"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

func read(t *testing.T) *higress.State {
	t.Helper()
	f, err := os.Open("testdata/higress.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := &higress.State{}
	if err := s.Read(f); err != nil {
		t.Fatal(err)
	}
	return s
}

func target(id string, kind policies.Kind, clusters []string, match ...snapshot.Match) manager.NewTarget {
	return manager.NewTarget{ID: id, TargetSpec: manager.TargetSpec{Kind: kind, Match: match, Upstream: snapshot.Upstream{Clusters: clusters}}}
}

func TestPropose(t *testing.T) {
	list, left := read(t).Propose()
	var got []manager.NewTarget
	notes := map[string]string{}
	for _, p := range list {
		got = append(got, p.Target)
		notes[p.Target.ID] = strings.Join(p.Notes, "\n")
	}
	want := []manager.NewTarget{
		target("github", "mcp", []string{"outbound|443||github.dns"}, snapshot.Match{Route: "mcp-server-github.internal"}),
		target("main", "llm", []string{"outbound|443||llm-openai.internal.dns", "outbound|443||llm-qwen.internal.dns", "outbound|443||llm-spare.internal.dns"},
			snapshot.Match{Route: "ai-route-main.internal"}, snapshot.Match{Route: "ai-route-main.fallback.internal"}),
		target("postgres", "mcp", nil, snapshot.Match{Path: "/mcp/postgres"}),
		target("shop_api", "http", []string{"outbound|8080||api.shop.svc.cluster.local"}, snapshot.Match{Route: "shop/Shop_API"}),
		target("tools", "mcp", []string{"outbound|80||tools.higress-system.svc.cluster.local"}, snapshot.Match{Route: "tools"}),
		target("weather", "mcp", nil, snapshot.Match{Host: "mcp.example.com", Path: "/mcp/weather"}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	for id, part := range map[string]string{
		"github": "is api.githubcopilot.com", "postgres": "inside the gateway", "shop_api": `by the name of a port, "http"`,
	} {
		if !strings.Contains(notes[id], part) {
			t.Errorf("notes on %s lack %q: %s", id, part, notes[id])
		}
	}
	for _, part := range []string{"trial: a canary", `type "regex"`} {
		if !strings.Contains(strings.Join(left, "\n"), part) {
			t.Errorf("what is left lacks %q: %q", part, left)
		}
	}
}

func TestImport(t *testing.T) {
	s := read(t)
	list, _ := s.Propose()
	im := s.Import(list)
	all := []string{"*"}
	want := []manager.NewGrant{
		{Consumer: "worker-alice", Target: "main"},
		{Consumer: "bob-s-app", Target: "main"},
		{Consumer: "worker-alice", Target: "github", GrantSpec: manager.GrantSpec{Tools: all, Prompts: all, Resources: all}},
	}
	if diff := cmp.Diff(want, im.Grants); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
	var ids []string
	for _, c := range im.Consumers {
		ids = append(ids, c.ID+" "+c.Kind)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
	if diff := cmp.Diff([]string{"worker-alice worker", "bob-s-app service", "worker.alice service"}, ids); diff != "" {
		t.Errorf("consumers (-want +got):\n%s", diff)
	}
	for _, g := range im.Grants {
		if err := g.Validate(time.Now()); err != nil {
			t.Errorf("%s: %v", g.Target, err)
		}
	}
	for _, part := range []string{
		"global_auth", `"worker-ALICE"`, `consumer "carol" is not known`, `route "gone" is no target`, "shop.example.com", "turned off",
	} {
		if !strings.Contains(strings.Join(im.Left, "\n"), part) {
			t.Errorf("what is left lacks %q: %q", part, im.Left)
		}
	}
}

// What is proposed goes into terminals, files and the store.
func TestNothingSecretIsTakenOver(t *testing.T) {
	s := read(t)
	list, left := s.Propose()
	b, err := json.Marshal([]any{list, left, s.Import(list)})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "canary-") {
		t.Errorf("a key is in %s", b)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no YAML":                  "a: [1",
		"an ingress that is none":  "kind: Ingress\nspec: {rules: 7}\n",
		"a config that is no YAML": "kind: ConfigMap\nmetadata: {name: higress-config}\ndata: {higress: 'a: [1'}\n",
		"consumers that are none":  "kind: WasmPlugin\nmetadata: {name: key-auth}\nspec: {defaultConfig: {consumers: 7}}\n",
	} {
		if err := new(higress.State).Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func FuzzRead(f *testing.F) {
	b, err := os.ReadFile("testdata/higress.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add("kind: Ingress\nmetadata: {name: '..', namespace: '-'}\nspec: {rules: [{http: {paths: [{}]}}]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := &higress.State{}
		if s.Read(strings.NewReader(text)) != nil {
			return
		}
		list, _ := s.Propose()
		ids := map[string]bool{}
		for _, p := range list {
			if err := p.Target.Validate(); err != nil || ids[p.Target.ID] {
				t.Errorf("proposes %+v, %v", p.Target, err)
			}
			ids[p.Target.ID] = true
		}
		for _, c := range s.Import(list).Consumers {
			if !manager.ValidID(c.ID) {
				t.Errorf("consumer %q", c.ID)
			}
		}
	})
}
