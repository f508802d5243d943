package revoke_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
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

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, number: 1}
	address := w.runManager()
	upstream := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(upstream.Close)
	var err error
	if w.sealing, err = seal.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	w.fill()
	gateway, _, err := w.api.CreateGateway(t.Context(), client.Request{}, nouns.GatewaySpec{ID: "edge"})
	if err != nil {
		t.Fatal(err)
	}
	status, err := w.api.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	public, err := changes.PublicKey(status.GatewayKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := w.sealing.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	w.envoy = testenv.StartEnvoy(t, testenv.EnvoyOptions{
		Keys: private, Token: gateway.Secret,
		Manager:   &live.Config{Cluster: "manager", Authority: "manager", Key: public, MaxStale: time.Minute},
		Upstreams: map[string]string{"api": upstream.Listener.Addr().String(), "manager": address},
	})
	w.await()
	return w
}

// runManager runs the Manager's own program, and returns where gateways find it.
func (w *world) runManager() (gateways string) {
	w.Helper()
	dir := w.TempDir()
	api, ops := testenv.FreeAddr(w), testenv.FreeAddr(w)
	gateways = testenv.FreeAddr(w)
	path := filepath.Join(dir, "manager.yaml")
	text := fmt.Sprintf("store: {dsn: keyward.db}\napi: {listen: %s}\noperations: {listen: %s}\ngateways: {listen: %s}\n", api, ops, gateways)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	c, err := manager.LoadConfig(path)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	out := &testenv.Output{}
	ended := make(chan error, 1)
	go func() { ended <- manager.Run(ctx, c, out, slog.New(slog.DiscardHandler)) }()
	w.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("the Manager ended with %v", err)
		}
	})
	wait, done := context.WithTimeout(ctx, 2*time.Minute)
	defer done()
	if err := testenv.Await(wait, testenv.HTTPHealthy("http://"+ops+"/readyz", http.StatusOK)); err != nil {
		w.Fatal(err)
	}
	for _, word := range strings.Fields(out.String()) {
		if strings.HasPrefix(word, nouns.AdminPrefix) {
			if w.api, err = client.New("http://"+api, word, client.Options{}); err != nil {
				w.Fatal(err)
			}
		}
	}
	if w.api == nil {
		w.Fatal("the Manager printed no token")
	}
	return gateways
}

// fill sets up one consumer that may use the one target, and the policy.
func (w *world) fill() {
	w.Helper()
	ctx, none := w.Context(), client.Request{}
	rego, err := os.ReadFile(filepath.Join(testenv.Root(w), "policy.rego"))
	w.must(err)
	policy, _, err := w.api.CreatePolicy(ctx, none, nouns.PolicySpec{PolicySource: nouns.PolicySource{Modules: map[string]string{"policy.rego": string(rego)}}})
	w.must(err)
	_, _, err = w.api.PublishPolicy(ctx, none, policy.ID)
	w.must(err)
	_, _, err = w.api.EnrolCredential(ctx, none, nouns.CredentialSpec{ID: "api", CredentialSealed: w.sealed()})
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
	secret, err := seal.NewSecret([]byte(key))
	w.must(err)
	up := snapshot.Upstream{Clusters: []string{"api"}}
	s, err := seal.Seal(w.sealing.Public(), secret, seal.For(&snapshot.Credential{ID: "api", Version: w.number, Upstream: up}))
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
