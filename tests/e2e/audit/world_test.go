package audit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/plugins/live"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/e2e/setup"
	"keyward/tests/testenv"
)

// patience bounds what a busy machine may take for one step.
const patience = 3 * time.Minute

// A target that is recorded in sync, and one that is not.
const (
	syncTarget  = "mcp" // by the names of Envoy's routes and clusters
	looseTarget = "api"
)

// A world is a Manager that is a program of its own, an MCP server that takes its
// real key only, and what a gateway between them needs. All three may be killed
// and started again.
type world struct {
	*testing.T
	dir      string
	matrix   string // the Manager's configuration of it; "": none
	keyward  string // the program
	addr     map[string]string
	manager  *testenv.Process
	api      *client.Client
	upstream *upstream
	sealing  *seal.PrivateKey
	live     *live.Config
	token    string // of the gateway
	channel  string // where the gateway finds the Manager
	tokens   sync.Map

	start   func(*world) (url string, p *testenv.Process) // a gateway
	gateway *testenv.Process
	url     atomic.Pointer[string] // of the gateway
}

func newWorld(t *testing.T, matrix string, start func(*world) (string, *testenv.Process)) *world {
	t.Helper()
	w := &world{
		T: t, dir: t.TempDir(), matrix: matrix, keyward: testenv.GoBuild(t, "keyward/tools/keyward"), start: start,
		addr:     map[string]string{"api": testenv.FreeAddr(t), "operations": testenv.FreeAddr(t), "gateways": testenv.FreeAddr(t)},
		upstream: newUpstream(t),
	}
	w.channel = w.addr["gateways"]
	var err error
	w.sealing, err = seal.GenerateKey()
	w.must(err)
	config := "store: {dsn: keyward.db}\n" + matrix
	for name, addr := range w.addr {
		config += fmt.Sprintf("%s: {listen: %s}\n", name, addr)
	}
	w.must(os.WriteFile(filepath.Join(w.dir, "manager.yaml"), []byte(config), 0o600))
	w.startManager()
	for _, word := range strings.Fields(w.manager.Log()) {
		if nouns.ValidSecret(nouns.AdminPrefix, word) {
			w.api, err = client.New("http://"+w.addr["api"], word, client.Options{})
			w.must(err)
		}
	}
	if w.api == nil {
		t.Fatal("the Manager printed no token")
	}
	w.fill()
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// startManager starts the Manager, on what one before it left.
func (w *world) startManager() {
	w.Helper()
	w.manager = testenv.Start(w, testenv.Command{
		Path: w.keyward, Args: []string{"manager", "--config", "manager.yaml"}, Dir: w.dir,
		Healthy: testenv.HTTPHealthy("http://"+w.addr["operations"]+"/readyz", http.StatusOK),
	})
}

// startGateway starts a gateway, and waits until a Worker is heard.
func (w *world) startGateway() {
	w.Helper()
	var url string
	url, w.gateway = w.start(w)
	w.until("the gateway follows the Manager", func(ctx context.Context) error {
		res, err := w.post(ctx, http.DefaultClient, url+"/mcp", "", `{}`)
		if err == nil && !strings.Contains(res, string(policies.TokenMissing)) {
			err = fmt.Errorf("a request without a token is answered %.200s", res)
		}
		return err
	})
	w.url.Store(&url)
}

// fill sets up the policy and both targets.
func (w *world) fill() {
	w.Helper()
	ctx, none := w.Context(), client.Request{}
	setup.Policy(w, w.api, nil)
	_, _, err := w.api.AddSealingKey(ctx, none, nouns.SealingKeySpec{Public: w.sealing.Public().String()})
	w.must(err)
	for _, id := range []string{syncTarget, looseTarget} {
		secret, err := seal.NewSecret([]byte(w.upstream.key))
		w.must(err)
		up := snapshot.Upstream{Clusters: []string{id}}
		sealed, err := nouns.SealTo([]*seal.PublicKey{w.sealing.Public()}, id, 1, up, secret)
		w.must(err)
		_, _, err = w.api.EnrolCredential(ctx, none, nouns.CredentialSpec{ID: id, CredentialSealed: sealed})
		w.must(err)
		_, _, err = w.api.CreateTarget(ctx, none, nouns.NewTarget{ID: id, TargetSpec: nouns.TargetSpec{
			Kind: policies.KindMCP, Match: []snapshot.Match{{Route: id}}, Upstream: up, Credential: id,
			Inject: &snapshot.Inject{Form: snapshot.Bearer}, Audit: &snapshot.Audit{Sync: id == syncTarget},
		}})
		w.must(err)
	}
	token, follow := setup.Gateway(w, w.api, 15*time.Minute)
	w.token, w.live = token, &follow
}

// worker makes a Worker that may call any tool whose argument ok is true.
func (w *world) worker(id, target string) {
	w.Helper()
	ctx, none := w.Context(), client.Request{}
	_, _, err := w.api.CreateConsumer(ctx, none, nouns.ConsumerSpec{ID: id, Kind: "worker"})
	w.must(err)
	issued, _, err := w.api.IssueToken(ctx, none, nouns.TokenSpec{Consumer: id})
	w.must(err)
	w.tokens.Store(id, issued.Secret)
	_, _, err = w.api.CreateGrant(ctx, none, nouns.NewGrant{Consumer: id, Target: target, GrantSpec: onlyOK})
	w.must(err)
}

// await waits until a call of a Worker is decided by all that was set up.
func (w *world) await(worker, target string) {
	w.Helper()
	w.until("a first call", func(ctx context.Context) error {
		res, err := w.call(ctx, http.DefaultClient, worker, target, "first", true)
		if err == nil && !allowed(res) {
			err = fmt.Errorf("answered %.300s", res)
		}
		return err
	})
}

func (w *world) until(what string, ready func(context.Context) error) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if err := testenv.Await(ctx, ready); err != nil {
		w.Fatalf("%s: %v", what, err)
	}
}

func skipUnlessE2E(t *testing.T) {
	t.Helper()
	testenv.Heavy(t, "real gateways and homeservers")
}

func newKey() string { return "sk-" + rand.Text() }
