package workers_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/docker"
	"keyward/manager/objects"
	"keyward/manager/rego"
	"keyward/manager/store"
	"keyward/manager/workers"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
	"keyward/tools/demo/upstream"
)

// A world is all that a Worker needs to work: a store with its services, a gateway
// that follows it, upstreams with real keys, and an engine.
type world struct {
	*store.Store
	*testenv.Docker
	dir      string
	registry *prometheus.Registry
	log      testenv.Output   // of the Manager's parts
	key      *seal.PrivateKey // of the gateway
	gateway  interface{ Log() string }
	address  string // of the gateway
	backend  *docker.Docker
	keys     []string          // real ones, which must be nowhere
	issued   map[string]string // of keys that the place knows which has issued them
	tokens   map[string]bool   // Workers' consumer tokens that were seen
	postgres *testenv.PostgreSQL
	dsn      string
	matrix   *homeserver          // nil: there is none
	minio    *testenv.ObjectStore // nil: there is none
	objects  *objects.Store       // in it
	parts    []workers.Part
	known    map[string]string // what is in a place that is searched for keys
}

// A setting is a kind of world.
type setting struct{ envoy, postgres, matrix, files bool }

func newWorld(t *testing.T, as setting) *world {
	t.Helper()
	w := &world{Docker: testenv.StartDocker(t), dir: t.TempDir(), registry: prometheus.NewRegistry(), issued: map[string]string{}, tokens: map[string]bool{}}
	w.open(t, as.postgres)
	var err error
	if w.key, err = seal.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	mcp, llm, keys := w.upstreams(t)
	clusters := map[string]string{"mcp": mcp, "llm": llm}
	targets := []manager.NewTarget{
		{ID: "github", TargetSpec: manager.TargetSpec{Kind: policies.KindMCP, Credential: "github", Match: []snapshot.Match{{Route: "mcp", Path: "/mcp"}}}},
		{ID: "llm", TargetSpec: manager.TargetSpec{Kind: policies.KindLLM, Credential: "llm", Match: []snapshot.Match{{Route: "llm", Path: "/v1"}}}},
	}
	if as.matrix {
		w.matrix = startHomeserver(t)
		clusters["matrix"] = strings.TrimPrefix(w.matrix.URL, "http://")
		targets = append(targets, matrixTarget)
	}
	if as.files {
		clusters["files"], keys["files"] = w.startFiles(t)
		clusters["objects"] = strings.TrimPrefix(w.minio.URL, "http://")
		targets = append(targets, fileTargets...)
	}
	w.keys = append(w.keys, slices.Collect(maps.Values(keys))...)
	var token string
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		g, err := tx.CreateGateway(ctx, manager.GatewaySpec{ID: "gateway"})
		if err != nil {
			return err
		}
		token = g.Secret
		if _, err := tx.AddSealingKey(ctx, manager.SealingKeySpec{Public: w.key.Public().String()}); err != nil {
			return err
		}
		for _, target := range targets {
			target.Upstream = snapshot.Upstream{Clusters: []string{target.Match[0].Route}}
			target.Inject = &snapshot.Inject{Form: snapshot.Bearer}
			if target.Credential != "" {
				if err := enrol(ctx, tx, w.key, target, keys[target.Credential]); err != nil {
					return err
				}
			}
			if _, err := tx.CreateTarget(ctx, target); err != nil {
				return err
			}
		}
		return w.publish(t, ctx, tx)
	})
	w.startGateway(t, as.envoy, token, clusters)
	w.startWorkers(t)
	return w
}

// open opens the store.
func (w *world) open(t *testing.T, postgres bool) {
	t.Helper()
	w.dsn = filepath.Join(w.dir, "keyward.db")
	if postgres {
		w.postgres = testenv.NeedPostgreSQL(t)
		w.dsn = w.postgres.Database(t)
	}
	var err error
	if w.Store, err = store.Open(t.Context(), w.dsn, store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
}

// upstreams run servers that accept their real keys only, and return where, with
// the keys by their credentials.
func (w *world) upstreams(t *testing.T) (mcp, llm string, keys map[string]string) {
	t.Helper()
	keys = map[string]string{"github": "ghp_" + rand.Text(), "llm": "sk-" + rand.Text()}
	servers := http.NewServeMux()
	servers.Handle("/", upstream.MCP(keys["github"], &upstream.Counter{}))
	servers.Handle(deskPath, desk("Bearer "+keys["github"]))
	m := httptest.NewServer(servers)
	t.Cleanup(m.Close)
	l := httptest.NewServer(upstream.LLM(keys["llm"], &upstream.Counter{}))
	t.Cleanup(l.Close)
	return m.Listener.Addr().String(), l.Listener.Addr().String(), keys
}

func enrol(ctx context.Context, tx *store.Tx, gateway *seal.PrivateKey, target manager.NewTarget, key string) error {
	secret, err := seal.NewSecret([]byte(key))
	if err != nil {
		return err
	}
	c := snapshot.Credential{ID: target.ID, Version: 1, Upstream: target.Upstream}
	sealed, err := seal.Seal(gateway.Public(), secret, seal.For(&c))
	if err != nil {
		return err
	}
	_, err = tx.CreateCredential(ctx, manager.CredentialSpec{
		ID: c.ID, CredentialSealed: manager.CredentialSealed{Upstream: c.Upstream, Sealed: []snapshot.Sealed{sealed}},
	})
	return err
}

func (w *world) publish(t *testing.T, ctx context.Context, tx *store.Tx) error {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "policy.rego"))
	if err != nil {
		return err
	}
	src := manager.PolicySource{Modules: map[string]string{"policy.rego": string(text)}}
	program, err := rego.Compiler{}.Compile(ctx, src)
	if err != nil {
		return err
	}
	p, err := tx.CreatePolicy(ctx, manager.PolicySpec{PolicySource: src})
	if err != nil {
		return err
	}
	_, err = tx.PublishPolicy(ctx, p.ID, 0, program)
	return err
}

// startWorkers runs what looks after Workers, and after their rooms if there is a
// homeserver.
func (w *world) startWorkers(t *testing.T) {
	t.Helper()
	parts := w.parts
	if w.matrix != nil {
		rooms := w.matrix.service(t, w)
		run(t, rooms.Run)
		parts = append(parts, rooms.Part())
	}
	s, err := workers.New(w.Store, w.backend, workers.Options{
		Environment: workers.Environment{Gateway: "http://gateway:8080"}, Parts: parts, Log: w.logger(), Metrics: w.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
}

// run runs a service until the test ends.
func run(t *testing.T, service func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); service(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (w *world) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(&w.log, nil)) }

func (w *world) change(t *testing.T, fn func(*store.Tx, context.Context) error) {
	t.Helper()
	if _, err := w.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error { return fn(tx, t.Context()) }); err != nil {
		t.Fatal(err)
	}
}
