package scenarios_test

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/policies"
	"keyward/policies/compile"
	"keyward/tests/testenv"
)

// stranger has a well-formed token that no snapshot knows.
const stranger = "stranger"

// A World is what a table is played in: who there is, what they may use, and the
// secrets of it.
type World struct {
	tokens  map[string]string // by name; see tokenNames
	keys    map[string]string // real keys by credential
	gateway *seal.PrivateKey
	base    snapshot.Snapshot
	texts   map[string]string // policies by snapshot
}

// tokenNames are the consumers' tokens: a consumer, or a consumer and what is
// special about this token of his.
var tokenNames = []string{
	"worker", "worker-expired", "worker-later", "worker-revoked", "other", "admin", "owner",
	"idle", "lapsed", "quarantined", "suspended", "gone", stranger,
}

// credentials are the real keys; each is bound to a cluster.
var credentials = map[string]string{
	"tools": "mcp", "llm": "llm", "git": "git", "strict": "api", "bearer": "api", "header": "api", "query": "api",
	"reader": "api", "hosted": "api", "owners": "api", "stale": "api", "wrong-cluster": "nowhere", "wrong-host": "api",
	"sealed-elsewhere": "api", "tampered": "api",
}

func newWorld(t *testing.T) *World {
	t.Helper()
	w := &World{tokens: map[string]string{}, keys: map[string]string{}}
	random := rand.Reader
	for _, name := range tokenNames {
		tok, err := token.New(random)
		if err != nil {
			t.Fatal(err)
		}
		w.tokens[name] = tok
	}
	worker := w.tokens["worker"]
	w.tokens["mistyped"] = worker[:len(worker)-1] + string(worker[len(worker)-1]^1)
	for id := range credentials {
		raw := make([]byte, 15)
		if _, err := random.Read(raw); err != nil {
			t.Fatal(err)
		}
		w.keys[id] = "sk-" + id + "-" + hex.EncodeToString(raw)
	}
	var err error
	if w.gateway, err = seal.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	w.texts = policyTexts(t)
	w.base = snapshot.Snapshot{
		Format: snapshot.Format, Epoch: "scenarios", Generation: 1,
		Policy:      compiled(t, w.texts["base"]),
		SessionKey:  []byte(rand.Text() + rand.Text())[:snapshot.SessionKeyBytes],
		Targets:     targets(),
		Consumers:   w.consumers(),
		Credentials: w.sealed(t),
	}
	return w
}

// targets are what there is behind the gateway. The routes are those of
// deploy/envoy/envoy.yaml.
func targets() []snapshot.Target {
	api := func(id string, inject *snapshot.Inject) snapshot.Target {
		target := snapshot.Target{
			ID: id, Kind: policies.KindHTTP, Match: []snapshot.Match{{Route: "api", Path: "/api/" + id}}, Inject: inject,
		}
		if inject != nil {
			target.Credential = id
		}
		return target
	}
	bearer := &snapshot.Inject{Form: snapshot.Bearer}
	hosted := api("hosted", bearer)
	hosted.Match[0].Host = "tools.example"
	strict := api("strict", bearer)
	strict.Kind = policies.KindMCP
	strict.MCP = &snapshot.MCP{Revisions: []string{"2026-07-28"}, Origins: []string{"https://app.example"}}
	inner := api("inner", nil)
	inner.Match[0].Path = "/api/bearer/inner" // where an upstream that decodes paths would find it
	return []snapshot.Target{
		inner,
		{ID: "tools", Kind: policies.KindMCP, Match: []snapshot.Match{{Route: "mcp"}}, Credential: "tools", Inject: bearer},
		{ID: "llm", Kind: policies.KindLLM, Match: []snapshot.Match{{Route: "llm"}}, Credential: "llm", Inject: bearer},
		{
			ID: "git", Kind: policies.KindHTTP, Match: []snapshot.Match{{Route: "git"}}, Credential: "git",
			Inject: &snapshot.Inject{Form: snapshot.Basic, Username: "x-access-token"},
		},
		strict, hosted,
		api("bearer", bearer),
		api("header", &snapshot.Inject{Form: snapshot.Header, Name: "x-api-token", Prefix: "Token "}),
		api("query", &snapshot.Inject{Form: snapshot.Query, Name: "key"}),
		api("reader", bearer),
		api("open", nil),
		api("stale", bearer),
		api("wrong-cluster", bearer),
		api("wrong-host", bearer),
		api("sealed-elsewhere", bearer),
		api("tampered", bearer),
	}
}

func (w *World) consumers() []snapshot.Consumer {
	everything := func(tools ...string) []snapshot.Grant {
		grants := []snapshot.Grant{grant("tools", policies.Grant{
			Tools:     tools,
			Arguments: map[string]map[string][]any{"issues.create": {"repository": {"acme/site"}}},
		})}
		for _, target := range targets() {
			g := policies.Grant{}
			switch target.ID {
			case "tools":
				continue
			case "strict":
				g.Tools = tools
			case "llm":
				g = policies.Grant{Methods: []string{"POST"}, Paths: []string{"/v1/chat/completions"}}
			case "reader":
				g = policies.Grant{Methods: []string{"GET"}, Paths: []string{"/api/reader/things"}}
			}
			grants = append(grants, grant(target.ID, g))
		}
		return grants
	}
	work := everything("issues.read", "issues.create")
	lapsed := grant("tools", policies.Grant{Tools: []string{"*"}, Expires: 1_600_000_000})
	consumer := func(id string, grants ...snapshot.Grant) snapshot.Consumer {
		return snapshot.Consumer{ID: id, Kind: "worker", State: snapshot.Active, Grants: grants, Tokens: w.tokensOf(id)}
	}
	owner := consumer("owner", work...)
	owner.Credentials = map[string]string{"bearer": "owners"}
	quarantined := consumer("quarantined", work...)
	quarantined.Labels = map[string]string{"quarantine": "true"}
	suspended := consumer("suspended", work...)
	suspended.State = snapshot.Suspended
	gone := consumer("gone", work...)
	gone.State = snapshot.Revoked
	return []snapshot.Consumer{
		consumer("worker", work...),
		consumer("other", grant("tools", policies.Grant{Tools: []string{"repository.delete"}})),
		consumer("admin", everything("*")...),
		consumer("idle"), consumer("lapsed", lapsed), owner, quarantined, suspended, gone,
	}
}

func grant(target string, g policies.Grant) snapshot.Grant {
	g.ID = "may-use-" + target
	return snapshot.Grant{Target: target, Grant: g}
}

// tokensOf are a consumer's tokens, by their names.
func (w *World) tokensOf(consumer string) []snapshot.Token {
	var list []snapshot.Token
	for _, name := range tokenNames {
		special, ok := strings.CutPrefix(name, consumer)
		if !ok || special != "" && special[0] != '-' {
			continue
		}
		digest := token.Digest(w.tokens[name])
		tok := snapshot.Token{ID: name, SHA256: hex.EncodeToString(digest[:])}
		switch special {
		case "-expired":
			tok.Expires = 1_600_000_000
		case "-later":
			tok.Expires = time.Now().Add(time.Hour).Unix()
		case "-revoked":
			tok.Revoked = true
		}
		list = append(list, tok)
	}
	return list
}

// sealed are the real keys as the gateway gets them.
func (w *World) sealed(t *testing.T) []snapshot.Credential {
	t.Helper()
	elsewhere, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	var list []snapshot.Credential
	for id, cluster := range credentials {
		c := snapshot.Credential{ID: id, Version: 1, Upstream: snapshot.Upstream{Clusters: []string{cluster}}}
		switch id {
		case "wrong-host":
			c.Upstream.Hosts = []string{"other.example"}
		case "hosted":
			c.Upstream.Hosts = []string{"tools.example"}
		}
		to := w.gateway
		if id == "sealed-elsewhere" {
			to = elsewhere
		}
		secret, err := seal.NewSecret([]byte(w.keys[id]))
		if err != nil {
			t.Fatal(err)
		}
		s, err := seal.Seal(to.Public(), secret, seal.For(&c))
		if err != nil {
			t.Fatal(err)
		}
		if id == "tampered" {
			s.Data[len(s.Data)-1] ^= 1
		}
		c.Sealed = []snapshot.Sealed{s}
		list = append(list, c)
	}
	return list
}

// policyTexts are the policies by the snapshot they are in force in.
func policyTexts(t *testing.T) map[string]string {
	t.Helper()
	shipped, err := os.ReadFile(filepath.Join(testenv.Root(t), "policy.rego"))
	if err != nil {
		t.Fatal(err)
	}
	asking := strings.Replace(string(shipped), "default ask := false",
		"default ask := false\n\nask if input.mcp.name == \"issues.create\"", 1)
	return map[string]string{
		"base":     string(shipped),
		"asking":   asking,
		"conflict": "package keyward\n\nallow := true if input.kind != \"\"\n\nallow := false if input.kind != \"\"\n",
		"endless":  "package keyward\n\nallow if {\n\tn := numbers.range(1, 20000)\n\tsome i in n\n\tsome j in n\n\ti * j < 0\n}\n",
		"truthy":   "package keyward\n\nallow := \"yes\"\n",
	}
}

func compiled(t *testing.T, text string) *snapshot.Policy {
	t.Helper()
	res, err := compile.Compile(compile.Source{Modules: map[string]string{"policy.rego": text}}, compile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &snapshot.Policy{Version: res.Version, Program: res.Program}
}

// snapshot is the JSON of what is in force; nil for nothing.
func (w *World) snapshot(t *testing.T, name string) []byte {
	t.Helper()
	s := w.base
	switch name {
	case "base", "down", "keyless":
	case "none":
		return nil
	case "corrupt":
		b := snapshot.Encode(&s)
		return append(b[:len(b)/2], `"}`...)
	case "foreign":
		s.Format = "keyward.snapshot/999"
	case "cut-program":
		p := *s.Policy
		p.Program = p.Program[:len(p.Program)/2]
		s.Policy = &p
	case "no-policy":
		s.Policy = nil
	default:
		text, ok := w.texts[name]
		if !ok {
			t.Fatalf("there is no snapshot %q", name)
		}
		s.Policy = compiled(t, text)
	}
	s.Targets = append(slices.Clone(s.Targets), snapshot.Target{
		ID: "probe", Kind: policies.KindHTTP, Match: []snapshot.Match{{Path: probe(name)}},
	})
	return snapshot.Encode(&s)
}

// probe is a path that a target serves in this snapshot alone.
func probe(snapshot string) string { return "/probe/" + snapshot }

// privateKeys are what key-swap is started with.
func (w *World) privateKeys(t *testing.T, name string) string {
	t.Helper()
	if name == "keyless" {
		return ""
	}
	text, err := w.gateway.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
