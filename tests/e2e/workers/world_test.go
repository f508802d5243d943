package workers_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/channel"
	"keyward/manager/docker"
	"keyward/manager/rego"
	"keyward/manager/store"
	"keyward/manager/workers"
	"keyward/plugins/changes"
	"keyward/plugins/key-swap/swap"
	"keyward/plugins/live"
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
	log      lockedBuffer // of the Manager's parts
	gateway  *testenv.Process
	backend  *docker.Docker
	keys     []string // real ones, which must be nowhere
}

// A lockedBuffer may be written and read at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Docker: testenv.StartDocker(t), dir: t.TempDir(), registry: prometheus.NewRegistry()}
	var err error
	if w.Store, err = store.Open(t.Context(), filepath.Join(w.dir, "keyward.db"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	gatewayKey, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	github, llm := w.upstreams(t)
	var token string
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		g, err := tx.CreateGateway(ctx, manager.GatewaySpec{ID: "gateway"})
		if err != nil {
			return err
		}
		token = g.Secret
		for i, target := range []manager.NewTarget{
			{ID: "github", TargetSpec: manager.TargetSpec{Kind: policies.KindMCP, Match: []snapshot.Match{{Route: "mcp", Path: "/mcp"}}}},
			{ID: "llm", TargetSpec: manager.TargetSpec{Kind: policies.KindLLM, Match: []snapshot.Match{{Route: "llm", Path: "/v1"}}}},
		} {
			target.Upstream = snapshot.Upstream{Clusters: []string{target.Match[0].Route}}
			target.Credential, target.Inject = target.ID, &snapshot.Inject{Form: snapshot.Bearer}
			if err := enrol(ctx, tx, gatewayKey, target, w.keys[i]); err != nil {
				return err
			}
			if _, err := tx.CreateTarget(ctx, target); err != nil {
				return err
			}
		}
		return w.publish(t, ctx, tx)
	})
	w.startGateway(t, gatewayKey, token, github, llm)
	w.startWorkers(t)
	return w
}

// upstreams run servers that accept their real keys only, and return where.
func (w *world) upstreams(t *testing.T) (mcp, llm string) {
	t.Helper()
	w.keys = []string{"ghp_" + rand.Text(), "sk-" + rand.Text()}
	m := httptest.NewServer(guard(w.keys[0], http.HandlerFunc(answerCall)))
	t.Cleanup(m.Close)
	l := httptest.NewServer(upstream.LLM(w.keys[1], &upstream.Counter{}))
	t.Cleanup(l.Close)
	return m.Listener.Addr().String(), l.Listener.Addr().String()
}

func guard(key string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			http.Error(w, "real key only", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// answerCall is the least of an MCP server: it answers every call, and echoes the
// key that it was called with, as a careless one would.
func answerCall(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20))
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done, with %s"}]}}`, r.Header.Get("Authorization"))
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

// startGateway runs `keyward gateway`, which follows the store.
func (w *world) startGateway(t *testing.T, key *seal.PrivateKey, token, mcp, llm string) {
	t.Helper()
	public, signing, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	follow := httptest.NewServer(channel.New(w.Store, channel.Options{Key: signing, Log: w.logger(), Stop: stop}))
	t.Cleanup(func() { close(stop); follow.Close() })
	keys, err := key.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	plugins, addr := testenv.Plugins(t), testenv.FreeAddr(t)
	var c strings.Builder
	fmt.Fprintf(&c, "listeners: [{address: %s}]\nclusters:\n", addr)
	for name, at := range map[string]string{"manager": follow.Listener.Addr().String(), "mcp": mcp, "llm": llm} {
		fmt.Fprintf(&c, "- {name: %s, urls: [\"http://%s\"]}\n", name, at)
	}
	c.WriteString("routes:\n- {name: mcp, path: /mcp, cluster: mcp}\n- {name: llm, path: /v1, cluster: llm}\nplugins:\n")
	for _, p := range []string{"gate", "key-swap"} {
		fmt.Fprintf(&c, "- name: %s\n  file: %s/%[1]s.wasm\n  vm_id: %[1]s\n", p, plugins)
		fmt.Fprintf(&c, "  env: [{name: %s, from_env: %[1]s}, {name: %s, from_env: %[2]s}]\n", live.EnvToken, swap.EnvKeys)
		fmt.Fprintf(&c, "  configuration: {manager: {cluster: manager, authority: manager, key: %s}}\n", changes.FormatPublicKey(public))
	}
	if err := os.WriteFile(filepath.Join(w.dir, "gateway.yaml"), []byte(c.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	w.gateway = testenv.Start(t, testenv.Command{
		Path: testenv.GoBuild(t, "keyward/tools/keyward"), Args: []string{"gateway", "--config", "gateway.yaml"}, Dir: w.dir,
		Env: []string{live.EnvToken + "=" + token, swap.EnvKeys + "=" + keys}, Healthy: testenv.Listening(addr),
	})
	w.onHost(t, addr)
}

// onHost makes a gateway be reached at the engine's machine, and makes the
// backend.
func (w *world) onHost(t *testing.T, addr string) {
	t.Helper()
	l := w.Docker.Listen(t, "0.0.0.0:0")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go relay(c, addr)
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w.backend, err = docker.New(docker.Options{
		Host: w.Host, Gateway: "http://gateway:8080", To: "host:" + port, Forwarder: testenv.GoBuildStatic(t, "./tools/forward"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.backend.Close() })
}

func relay(c net.Conn, to string) {
	defer c.Close()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() { _, _ = io.Copy(up, c) }()
	_, _ = io.Copy(c, up)
}

func (w *world) startWorkers(t *testing.T) {
	t.Helper()
	s, err := workers.New(w.Store, w.backend, workers.Options{
		Environment: workers.Environment{Gateway: "http://gateway:8080"}, Log: w.logger(), Metrics: w.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (w *world) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(&w.log, nil)) }

func (w *world) change(t *testing.T, fn func(*store.Tx, context.Context) error) {
	t.Helper()
	if _, err := w.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error { return fn(tx, t.Context()) }); err != nil {
		t.Fatal(err)
	}
}
