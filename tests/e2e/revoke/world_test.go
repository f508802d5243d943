package revoke_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/changes"
	"keyward/plugins/live"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
	"keyward/tools/manager"
)

// A world is a Manager, a server that takes its real key only, and an Envoy
// between one consumer and that server.
type world struct {
	*testing.T
	api     *client.Client
	envoy   *testenv.Envoy
	sealing *seal.PrivateKey
	keys    keys
	token   nouns.Issued[nouns.Token]
	grant   string
	number  uint64 // version of the credential

	dir         string               // of the Manager
	addresses   [4]string            // of its API, operations, gateways and agents
	stopManager func()               // and waits for its end
	options     testenv.EnvoyOptions // of every Envoy
}

// keys are what the server takes.
type keys struct {
	mu   sync.Mutex
	list []string
}

func (k *keys) add(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, key)
}

func (k *keys) have(authorization string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.list, strings.TrimPrefix(authorization, "Bearer "))
}

// newWorld has all of it running.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := newWorldWithoutEnvoy(t)
	w.startEnvoy(testenv.EnvoyOptions{})
	w.await()
	return w
}

func newWorldWithoutEnvoy(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, number: 1}
	w.configureManager()
	w.startManager()
	upstream := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(upstream.Close)
	var err error
	w.sealing, err = seal.GenerateKey()
	w.must(err)
	w.fill()
	gateway, _, err := w.api.CreateGateway(t.Context(), client.Request{}, nouns.GatewaySpec{ID: "edge"})
	w.must(err)
	status, err := w.api.Status(t.Context())
	w.must(err)
	public, err := changes.PublicKey(status.GatewayKey)
	w.must(err)
	private, err := w.sealing.Reveal()
	w.must(err)
	w.options = testenv.EnvoyOptions{
		Keys: private, Token: gateway.Secret,
		Manager:   &live.Config{Cluster: "manager", Authority: "manager", Key: public, MaxStale: 10 * time.Minute},
		Upstreams: map[string]string{"api": upstream.Listener.Addr().String(), "manager": w.addresses[2], "mcp": w.addresses[3]},
	}
	return w
}

// startEnvoy starts an Envoy that follows the Manager, with the snapshot and the
// gate of special.
func (w *world) startEnvoy(special testenv.EnvoyOptions) {
	w.Helper()
	opt := w.options
	opt.Snapshot, opt.Gate = special.Snapshot, special.Gate
	w.envoy = testenv.StartEnvoy(w.T, opt)
}

// configureManager writes the configuration of the Manager's own program.
func (w *world) configureManager() {
	w.Helper()
	w.dir = w.TempDir()
	for i := range w.addresses {
		w.addresses[i] = testenv.FreeAddr(w)
	}
	text := fmt.Sprintf("store: {dsn: keyward.db}\napi: {listen: %s}\noperations: {listen: %s}\ngateways: {listen: %s}\nagents: {listen: %s}\n",
		w.addresses[0], w.addresses[1], w.addresses[2], w.addresses[3])
	w.must(os.WriteFile(filepath.Join(w.dir, "manager.yaml"), []byte(text), 0o600))
}

// startManager runs the Manager until the test ends, or stopManager.
func (w *world) startManager() {
	w.Helper()
	c, err := manager.LoadConfig(filepath.Join(w.dir, "manager.yaml"))
	w.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.Context()))
	out := &testenv.Output{}
	ended := make(chan error, 1)
	go func() { ended <- manager.Run(ctx, c, out, slog.New(slog.DiscardHandler)) }()
	w.stopManager = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("the Manager ended with %v", err)
		}
	})
	w.Cleanup(w.stopManager)
	wait, done := context.WithTimeout(ctx, 2*time.Minute)
	defer done()
	w.must(testenv.Await(wait, testenv.HTTPHealthy("http://"+w.addresses[1]+"/readyz", http.StatusOK)))
	for word := range strings.FieldsSeq(out.String()) {
		if strings.HasPrefix(word, nouns.AdminPrefix) {
			w.api, err = client.New("http://"+w.addresses[0], word, client.Options{})
			w.must(err)
		}
	}
	if w.api == nil {
		w.Fatal("the Manager printed no token")
	}
}

// fill sets up one consumer that may use the one target, and the policy.
func (w *world) fill() {
	w.Helper()
	ctx, none := w.Context(), client.Request{}
	w.publish(nil, "policy.rego")
	_, _, err := w.api.EnrolCredential(ctx, none, nouns.CredentialSpec{ID: "api", CredentialSealed: w.sealed()})
	w.must(err)
	_, _, err = w.api.CreateTarget(ctx, none, nouns.NewTarget{ID: "api", TargetSpec: nouns.TargetSpec{
		Kind: policies.KindHTTP, Match: []snapshot.Match{{Route: "api"}}, Upstream: snapshot.Upstream{Clusters: []string{"api"}},
		Credential: "api", Inject: &snapshot.Inject{Form: snapshot.Bearer},
	}})
	w.must(err)
	_, _, err = w.api.CreateConsumer(ctx, none, nouns.ConsumerSpec{ID: "worker", Kind: "worker"})
	w.must(err)
	w.token, _, err = w.api.IssueToken(ctx, none, nouns.TokenSpec{Consumer: "worker"})
	w.must(err)
	w.must(w.allow(ctx, none))
}

// publish lets these files of the repository decide, and more modules by name.
func (w *world) publish(more map[string]string, files ...string) {
	w.Helper()
	modules := map[string]string{}
	maps.Copy(modules, more)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(testenv.Root(w), f))
		w.must(err)
		modules[filepath.Base(f)] = string(b)
	}
	policy, _, err := w.api.CreatePolicy(w.Context(), client.Request{}, nouns.PolicySpec{PolicySource: nouns.PolicySource{Modules: modules}})
	w.must(err)
	_, _, err = w.api.PublishPolicy(w.Context(), client.Request{}, policy.ID)
	w.must(err)
}

func (w *world) allow(ctx context.Context, r client.Request) error {
	g, c, err := w.api.CreateGrant(ctx, r, nouns.NewGrant{Consumer: "worker", Target: "api", GrantSpec: nouns.GrantSpec{Paths: []string{"/api"}}})
	w.grant = g.ID
	return inForce(r, c, err)
}

// inForce is the error of a change that was to be waited for.
func inForce(r client.Request, c client.Change, err error) error {
	if err == nil && r.Wait && !c.InForce {
		return fmt.Errorf("generation %d is not in force in time: behind %q", c.Generation, c.Behind)
	}
	return err
}

// sealed is a new key of the server's, sealed as the version that is next.
func (w *world) sealed() nouns.CredentialSealed {
	w.Helper()
	key := "sk-" + rand.Text()
	w.keys.add(key)
	return w.seal("api", w.number, key, snapshot.Upstream{Clusters: []string{"api"}})
}

func (w *world) seal(id string, version uint64, key string, up snapshot.Upstream) nouns.CredentialSealed {
	w.Helper()
	secret, err := seal.NewSecret([]byte(key))
	w.must(err)
	s, err := seal.Seal(w.sealing.Public(), secret, seal.For(&snapshot.Credential{ID: id, Version: version, Upstream: up}))
	w.must(err)
	return nouns.CredentialSealed{Upstream: up, Sealed: []snapshot.Sealed{s}}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// serve is the server: /api/busy and /api/silent are event streams.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	if !w.keys.have(r.Header.Get("Authorization")) {
		http.Error(rw, "this server takes its real key only", http.StatusTeapot)
		return
	}
	if r.URL.Path != "/api/busy" && r.URL.Path != "/api/silent" {
		fmt.Fprintln(rw, "ok")
		return
	}
	rw.Header().Set("Content-Type", "text/event-stream")
	every := 10 * time.Millisecond
	if r.URL.Path == "/api/silent" {
		every = time.Hour
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := io.WriteString(rw, "data: on\n\n"); err != nil {
			return
		}
		rw.(http.Flusher).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// await waits until both plugins have what the Manager says.
func (w *world) await() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	w.must(testenv.Await(ctx, func(ctx context.Context) error {
		g, err := w.api.Gateway(ctx, "edge")
		if err == nil && (len(g.Instances) < 2 || len(g.Builds) != 2 || g.Behind > 0) {
			err = fmt.Errorf("%d instances of %q, behind by %d", len(g.Instances), g.Builds, g.Behind)
		}
		return err
	}))
}
