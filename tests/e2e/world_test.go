package e2e_test

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/policies"
	"keyward/policies/compile"
	"keyward/tests/testenv"
)

// A world is one consumer, what it may use, and the servers behind the gateway.
type world struct {
	token     string            // of the consumer "worker"
	upstreams map[string]string // cluster to address
	snapshot  snapshot.Snapshot
	gateway   *seal.PrivateKey
	secrets   []string // that no log may hold
	refused   atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{upstreams: map[string]string{}}
	var err error
	if w.token, err = token.New(rand.Reader); err != nil {
		t.Fatal(err)
	}
	if w.gateway, err = seal.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "policy.rego"))
	if err != nil {
		t.Fatal(err)
	}
	policy, err := compile.Compile(compile.Source{Modules: map[string]string{"policy.rego": string(text)}}, compile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	digest := token.Digest(w.token)
	w.secrets = []string{w.token}
	w.snapshot = snapshot.Snapshot{
		Format: snapshot.Format, Epoch: "e2e", Generation: 1,
		Policy: &snapshot.Policy{Version: policy.Version, Program: policy.Program},
		Consumers: []snapshot.Consumer{{
			ID: "worker", Kind: "worker", State: snapshot.Active,
			Tokens: []snapshot.Token{{ID: "first", SHA256: hex.EncodeToString(digest[:])}},
		}},
	}
	return w
}

// add puts a target with a real key of its own behind the gateway, lets the
// consumer use it as g says, and returns the key.
func (w *world) add(t *testing.T, target snapshot.Target, g policies.Grant) string {
	t.Helper()
	key := "sk-" + rand.Text()
	secret, err := seal.NewSecret([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	cluster := target.Match[0].Route // routes and clusters are named alike
	c := snapshot.Credential{ID: target.ID, Version: 1, Upstream: snapshot.Upstream{Clusters: []string{cluster}}}
	sealed, err := seal.Seal(w.gateway.Public(), secret, seal.For(&c))
	if err != nil {
		t.Fatal(err)
	}
	c.Sealed = []snapshot.Sealed{sealed}
	target.Credential = target.ID
	g.ID = "worker-" + target.ID
	w.snapshot.Targets = append(w.snapshot.Targets, target)
	w.snapshot.Credentials = append(w.snapshot.Credentials, c)
	consumer := &w.snapshot.Consumers[0]
	consumer.Grants = append(consumer.Grants, snapshot.Grant{Target: target.ID, Grant: g})
	w.secrets = append(w.secrets, key)
	return key
}

// bearer is how most servers take their key.
func bearer() *snapshot.Inject { return &snapshot.Inject{Form: snapshot.Bearer} }

// guard lets requests with the wanted Authorization through to next, and counts
// the others.
func (w *world) guard(want string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
			w.refused.Add(1)
			http.Error(rw, "this server accepts its real key only", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// forward passes requests on to a server that asks for no key itself.
func forward(t *testing.T, to string) http.Handler {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return testenv.Duplex(&httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.URL.Path = u.Scheme, u.Host, u.Path
			r.Out.Host = u.Host
			r.Out.Header.Del("Authorization")
		},
	})
}

// serve runs a cluster's server.
func (w *world) serve(t *testing.T, cluster string, h http.Handler) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	w.upstreams[cluster] = srv.Listener.Addr().String()
}
