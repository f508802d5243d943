package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyward/plugins/changes"
	"keyward/plugins/live"
	"keyward/tests/testenv"
)

// Canary keys, and a note in clear that shows that a search finds what is there.
const (
	canaryNote   = "canary-note-5d1f"
	canaryFirst  = "canary-first-real-key-a91c"
	canarySecond = "canary-second-real-key-77e0"
)

// TestAKeyEnrolledByTheCommandIsNowhereInClear enrols canary keys with the
// command line, uses one through Envoy, and then searches all that is kept and
// shown: the store, the resources that the Manager publishes, Envoy's
// configuration dump, the Manager's log and metrics, and a core dump of it.
func TestAKeyEnrolledByTheCommandIsNowhereInClear(t *testing.T) {
	testenv.Heavy(t, "the keyward command, built")
	t.Run("SQLite", func(t *testing.T) {
		c := newCanary(t, "keyward.db", "")
		c.enrol()
		var kept []byte
		for _, name := range []string{"keyward.db", "keyward.db-wal"} {
			kept = append(kept, read(t, filepath.Join(c.dir, name))...)
		}
		c.search("the store's files", kept, canaryNote, c.all()...)
		c.search("a core dump of the Manager", testenv.CoreDump(t, c.pid), canaryNote, c.keys()...)
		c.search("the Manager's log", []byte(read(t, c.log)), "gateways need this public key", c.kept()...)
		c.search("the Manager's metrics", testenv.Get(t, "http://"+c.operations+"/metrics"), "keyward_generation", c.all()...)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := testenv.NeedPostgreSQL(t)
		dsn := server.Database(t)
		c := newCanary(t, dsn, "")
		c.enrol()
		c.search("a dump of the store", server.Dump(t, dsn), canaryNote, c.all()...)
		c.search("a core dump of the Manager", testenv.CoreDump(t, c.pid), canaryNote, c.keys()...)
	})
	t.Run("Envoy and Kubernetes", func(t *testing.T) {
		cluster := testenv.StartKubernetes(t)
		cluster.Apply(t, false, testenv.Manifests(t, []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: higress-system}\n"))...)
		c := newCanary(t, "keyward.db", fmt.Sprintf("plugins: {dir: %q, listen: \"127.0.0.1:0\", publish: {to: kubernetes, kubeconfig: %q, url: \"http://127.0.0.1:1/plugins\", cluster: manager}}\n",
			testenv.Plugins(t), cluster.Kubeconfig))
		c.enrol()
		envoy := c.throughEnvoy()
		c.search("Envoy's configuration dump", testenv.Get(t, "http://"+envoy.Admin+"/config_dump?include_eds"), c.public, c.all()...)
		c.search("Envoy's statistics", testenv.Get(t, "http://"+envoy.Admin+"/stats"), "http.gateway", c.all()...)
		c.search("Envoy's log", []byte(envoy.Log()), "gate", c.all()...)
		c.search("the WasmPlugin resources", c.wasmPlugins(cluster), c.public, c.all()...)
	})
}

// A canary is a Manager with canary keys.
type canary struct {
	*testing.T
	keyward, dir, api, gateways, operations string
	pid                                     int
	token, log                              string
	public                                  string // half of the key that answers to gateways are signed with
}

// newCanary runs a Manager with a store; more is the rest of its configuration.
func newCanary(t *testing.T, dsn, more string) *canary {
	t.Helper()
	c := &canary{T: t, keyward: testenv.GoBuild(t, "keyward/tools/keyward"), dir: t.TempDir(), api: freeAddress(t), gateways: freeAddress(t), operations: freeAddress(t)}
	config := c.put("manager.yaml", fmt.Sprintf("store: {dsn: %q}\napi: {listen: %q}\noperations: {listen: %q}\ngateways: {listen: %q}\n%s",
		dsn, c.api, c.operations, c.gateways, more))
	c.pid, c.token, c.log = startManager(t, c.keyward, config, c.api)
	_, rest, _ := strings.Cut(read(t, c.log), `"gateways need this public key","key":"`)
	c.public, _, _ = strings.Cut(rest, `"`)
	return c
}

func (c *canary) put(name, text string) string {
	c.Helper()
	file := filepath.Join(c.dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
	return file
}

// run runs a command of keyward.
func (c *canary) run(args ...string) {
	c.Helper()
	cmd := exec.CommandContext(c.Context(), c.keyward, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "KEYWARD_MANAGER=http://"+c.api, "KEYWARD_ADMIN_TOKEN_FILE="+c.put("admin.token", c.token))
	if out, err := cmd.CombinedOutput(); err != nil {
		c.Fatalf("keyward %q: %v\n%s", args, err, out)
	}
}

// enrol makes what a request needs, with one key that was and one that is.
func (c *canary) enrol() {
	c.Helper()
	one, two := c.put("one.key", canaryFirst), c.put("two.key", canarySecond)
	c.run("gateway", "keygen", "-o", "gw")
	c.run("gateway", "key", "add", "gw.pub")
	c.run("gateway", "register", "edge", "--out", "gateway.token")
	c.run("credential", "enrol", "api", "--cluster", "api", "--note", canaryNote, "--file", one)
	c.run("credential", "rotate", "api", "--overlap", "1h", "--file", two)
	c.run("target", "create", "api", "--kind", "http", "--path", "/api", "--cluster", "api", "--credential", "api", "--inject", "bearer")
	c.run("consumer", "create", "worker")
	c.run("token", "issue", "worker", "--out", "worker.token")
	c.run("grant", "create", "worker", "api", "--prefix", "/api")
	c.run("policy", "publish", filepath.Join(testenv.Root(c), "policy.rego"))
}

// secret is a secret that a command wrote into a file.
func (c *canary) secret(file string) string {
	return strings.TrimSpace(read(c.T, filepath.Join(c.dir, file)))
}

// keys are what the Manager never sees.
func (c *canary) keys() []string { return []string{canaryFirst, canarySecond, c.secret("gw.key")} }

// kept are these and the tokens that were kept in files. The Manager itself makes
// tokens, so they are in its memory for a while.
func (c *canary) kept() []string {
	return append(c.keys(), c.secret("gateway.token"), c.secret("worker.token"))
}

// all are these and the first admin token, which the first start prints.
func (c *canary) all() []string { return append(c.kept(), c.token) }

// throughEnvoy has an Envoy follow the Manager, and a request get its real key
// there.
func (c *canary) throughEnvoy() *testenv.Envoy {
	c.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+canarySecond {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	c.Cleanup(upstream.Close)
	public, err := changes.PublicKey(c.public)
	if err != nil {
		c.Fatal(err)
	}
	envoy := testenv.StartEnvoy(c, testenv.EnvoyOptions{
		Keys: c.secret("gw.key"), Token: c.secret("gateway.token"),
		Manager:   &live.Config{Cluster: "manager", Authority: "manager", Key: public, MaxStale: time.Minute},
		Upstreams: map[string]string{"api": upstream.Listener.Addr().String(), "manager": c.gateways},
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, "http://"+envoy.Addr+"/api", nil)
		if err != nil {
			c.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.secret("worker.token"))
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			c.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return envoy
		}
		if time.Now().After(end) {
			c.Fatalf("no request gets its real key: %s", res.Status)
		}
	}
}

// wasmPlugins are the resources as the API server has them.
func (c *canary) wasmPlugins(k *testenv.Kubernetes) []byte {
	c.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		code, b := k.Request(c, http.MethodGet, "/apis/extensions.higress.io/v1alpha1/namespaces/higress-system/wasmplugins", "", nil)
		if code == http.StatusOK && bytes.Count(b, []byte(`"kind":"WasmPlugin"`)) >= 2 {
			return b
		}
		if time.Now().After(end) {
			c.Fatalf("nothing was published: %d %s", code, b)
		}
	}
}

// search looks for secrets in b, which must hold there.
func (c *canary) search(where string, b []byte, there string, secrets ...string) {
	c.Helper()
	if !bytes.Contains(b, []byte(there)) {
		c.Errorf("%q is not found in %s: the search is worth nothing", there, where)
	}
	for i, s := range secrets {
		for name, form := range forms(s) {
			if bytes.Contains(b, []byte(form)) {
				c.Errorf("secret %d is in %s, in %s", i, where, name)
			}
		}
	}
}

// forms are how a secret may be written: what comes before it decides which of
// three texts base64 makes of its middle.
func forms(secret string) map[string]string {
	all := map[string]string{"clear": secret, "hex": hex.EncodeToString([]byte(secret))}
	for skip := range 3 {
		middle := secret[skip:]
		middle = middle[:len(middle)/3*3]
		all[fmt.Sprintf("base64 at %d", skip)] = base64.RawStdEncoding.EncodeToString([]byte(middle))
	}
	return all
}
