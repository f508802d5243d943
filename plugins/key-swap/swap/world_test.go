package swap_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/key-swap/swap"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/plugins/verdict"
	"keyward/policies"
)

// Canary keys: not one may show where it is not asked for.
const (
	bearerKey = "ghp_CanaryBearer0123456789"
	headerKey = "canary-header/0123456789+="
	basicKey  = "canary-basic-0123456789"
	ownKey    = "canary-own-0123456789"
)

var canaries = []string{bearerKey, headerKey, asciiQueryKey, basicKey, ownKey}

const asciiQueryKey = "canary query&0123456789=?"

// A world is a plugin with one target for each form of injection.
type world struct {
	host    *filtertest.Host
	plugin  filter.Plugin
	gateway *seal.PrivateKey
	s       *snapshot.Snapshot
}

func newWorld(t testing.TB) *world {
	t.Helper()
	gateway, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := gateway.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{gateway: gateway, host: &filtertest.Host{Env: map[string]string{swap.EnvKeys: text}}}
	hosts := func(h ...string) snapshot.Upstream { return snapshot.Upstream{Hosts: h} }
	w.s = &snapshot.Snapshot{Format: snapshot.Format, Epoch: "e", Generation: 1}
	target := func(id string, kind policies.Kind, up snapshot.Upstream, credential string, inject *snapshot.Inject) {
		w.s.Targets = append(w.s.Targets, snapshot.Target{
			ID: id, Kind: kind, Match: []snapshot.Match{{Path: "/" + id}},
			Upstream: up, Credential: credential, Inject: inject,
		})
	}
	target("bearer", policies.KindMCP, hosts("api.github.com"), "c-bearer", &snapshot.Inject{Form: snapshot.Bearer})
	target("header", policies.KindLLM, snapshot.Upstream{}, "c-header", &snapshot.Inject{Form: snapshot.Header, Name: "x-api-key", Prefix: "Key "})
	target("query", policies.KindHTTP, snapshot.Upstream{}, "c-query", &snapshot.Inject{Form: snapshot.Query, Name: "api_key"})
	target("basic", policies.KindHTTP, snapshot.Upstream{}, "c-basic", &snapshot.Inject{Form: snapshot.Basic, Username: "x-access-token"})
	target("cluster", policies.KindMCP, snapshot.Upstream{Clusters: []string{"good"}}, "c-bearer", &snapshot.Inject{Form: snapshot.Bearer})
	target("open", policies.KindHTTP, snapshot.Upstream{}, "", nil)
	w.s.Consumers = []snapshot.Consumer{
		{ID: "w1", Kind: "worker", State: snapshot.Active},
		{ID: "w2", Kind: "worker", State: snapshot.Active, Credentials: map[string]string{"header": "c-own"}},
		{ID: "w3", Kind: "worker", State: snapshot.Suspended},
	}
	w.credential(t, "c-bearer", bearerKey, snapshot.Upstream{Hosts: []string{"api.github.com", "mirror.example"}})
	w.credential(t, "c-header", headerKey, snapshot.Upstream{})
	w.credential(t, "c-query", asciiQueryKey, snapshot.Upstream{})
	w.credential(t, "c-basic", basicKey, snapshot.Upstream{})
	w.credential(t, "c-own", ownKey, snapshot.Upstream{})
	w.plugin = swap.New(w.host)
	w.configure(t)
	return w
}

func (w *world) credential(t testing.TB, id, key string, up snapshot.Upstream) {
	t.Helper()
	secret, err := seal.NewSecret([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	c := snapshot.Credential{ID: id, Version: 1, Upstream: up}
	s, err := seal.Seal(w.gateway.Public(), secret, seal.For(&c))
	if err != nil {
		t.Fatal(err)
	}
	c.Sealed = []snapshot.Sealed{s}
	w.s.Credentials = append(w.s.Credentials, c)
}

func (w *world) config() []byte {
	return []byte(`{"snapshot":` + string(snapshot.Encode(w.s)) + `}`)
}

func (w *world) configure(t testing.TB) {
	t.Helper()
	if err := w.plugin.Configure(w.config()); err != nil {
		t.Fatal(err)
	}
}

// allow is gate's property for a stream.
func allow(consumer, target, credential string) map[string]string {
	v := verdict.Verdict{Consumer: consumer, Target: target, Credential: credential, Generation: 1, Decision: "D1"}
	return map[string]string{verdict.Property: string(v.Encode())}
}

func request(path string, headers ...[2]string) filtertest.Message {
	h := [][2]string{{":method", "GET"}, {":authority", "api.github.com"}, {":path", path}}
	return filtertest.Message{Headers: append(h, headers...)}
}

func answer(m filtertest.Message) func(filtertest.Message) filtertest.Message {
	m.Headers = append([][2]string{{":status", "200"}}, m.Headers...)
	return func(filtertest.Message) filtertest.Message { return m }
}

// checkNoLeak fails when a canary shows in any spelling in text.
func checkNoLeak(t *testing.T, where, text string) {
	t.Helper()
	for _, key := range canaries {
		for _, form := range []string{key, base64.StdEncoding.EncodeToString([]byte(key)), base64.StdEncoding.EncodeToString([]byte("x-access-token:" + key))} {
			if strings.Contains(text, form) {
				t.Errorf("%s holds %q:\n%s", where, form, text)
			}
		}
	}
}

func checkClean(t *testing.T, w *world, r *filtertest.Result) {
	t.Helper()
	if len(r.Faults) > 0 {
		t.Errorf("faults: %q", r.Faults)
	}
	if r.Client != nil {
		checkNoLeak(t, "the client's answer", r.Client.String())
	}
	checkNoLeak(t, "the log", w.host.Logged())
}
