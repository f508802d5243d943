package workers_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/docker"
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
	backend  *docker.Docker
	keys     []string // real ones, which must be nowhere
	postgres *testenv.PostgreSQL
	dsn      string
	matrix   *homeserver // nil: there is none
}

// A setting is a kind of world.
type setting struct{ envoy, postgres, matrix bool }

func newWorld(t *testing.T, as setting) *world {
	t.Helper()
	w := &world{Docker: testenv.StartDocker(t), dir: t.TempDir(), registry: prometheus.NewRegistry()}
	w.open(t, as.postgres)
	var err error
	if w.key, err = seal.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	mcp, llm := w.upstreams(t)
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
		for i, target := range targets {
			target.Upstream = snapshot.Upstream{Clusters: []string{target.Match[0].Route}}
			target.Inject = &snapshot.Inject{Form: snapshot.Bearer}
			if target.Credential != "" {
				if err := enrol(ctx, tx, w.key, target, w.keys[i]); err != nil {
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

// upstreams run servers that accept their real keys only, and return where.
func (w *world) upstreams(t *testing.T) (mcp, llm string) {
	t.Helper()
	w.keys = []string{"ghp_" + rand.Text(), "sk-" + rand.Text()}
	m := httptest.NewServer(upstream.MCP(w.keys[0], &upstream.Counter{}))
	t.Cleanup(m.Close)
	l := httptest.NewServer(upstream.LLM(w.keys[1], &upstream.Counter{}))
	t.Cleanup(l.Close)
	return m.Listener.Addr().String(), l.Listener.Addr().String()
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
	var parts []workers.Part
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
