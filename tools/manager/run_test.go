package manager_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/tests/testenv"
	"keyward/tools/manager"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manager.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadConfig(t *testing.T) {
	c, err := manager.LoadConfig(writeConfig(t, "store: {dsn: keyward.db}\n"))
	if err != nil || c.API.Listen != "127.0.0.1:8700" || !filepath.IsAbs(c.Store.DSN) {
		t.Errorf("config = %+v, %v", c, err)
	}
	for name, text := range map[string]string{
		"an unknown field":                     "store: {dsn: x}\nstor: 1\n",
		"no store":                             "api: {listen: 127.0.0.1:1}\n",
		"two stores":                           "store: {dsn: x, dsnFile: y}\n",
		"a DSN file that isn't":                "store: {dsnFile: none}\n",
		"clear text for the network":           "store: {dsn: x}\napi: {listen: 0.0.0.0:8700}\n",
		"a name that may be any":               "store: {dsn: x}\napi: {listen: ':8700'}\n",
		"a certificate without key":            "store: {dsn: x}\napi: {cert: x}\n",
		"a provider in clear text":             "store: {dsn: x}\noidc: {issuer: 'http://idp.example', audience: k, roles: {ops: admin}}\n",
		"a provider's unknown role":            "store: {dsn: x}\noidc: {issuer: 'https://idp.example', audience: k, roles: {ops: root}}\n",
		"nowhere to run Workers":               "store: {dsn: x}\nworkers: {}\n",
		"two places for Workers":               "store: {dsn: x}\nworkers: {docker: {to: 'host:1', forwarder: f}, kubernetes: {}}\n",
		"nothing to publish":                   "store: {dsn: x}\nplugins: {publish: {to: kubernetes, url: 'http://x/', cluster: c}}\n",
		"nowhere to publish":                   "store: {dsn: x}\nplugins: {dir: d, publish: {url: 'http://x/', cluster: c}}\n",
		"no folder to publish to":              "store: {dsn: x}\nplugins: {dir: d, publish: {to: folder, url: 'http://x/', cluster: c}}\n",
		"no name of the Manager":               "store: {dsn: x}\nplugins: {dir: d, publish: {to: kubernetes, url: 'http://x/'}}\n",
		"rooms without a way to make accounts": "store: {dsn: x}\nmatrix: {homeserver: http://hs, user: '@k:hs', admins: ['@a:hs']}\n",
		"rooms with a secret that isn't":       "store: {dsn: x}\nmatrix: {homeserver: http://hs, user: '@k:hs', admins: ['@a:hs'], registrationSecretFile: none}\n",
		"Workers nowhere":                      "store: {dsn: x}\nworkers: {gateway: 'http://gateway:8080'}\n",
		"Workers without forwarder":            "store: {dsn: x}\nworkers: {docker: {to: 'host:1'}}\n",
		"files without a store":                "store: {dsn: x}\nfiles: {}\n",
		"files without a secret":               "store: {dsn: x}\nfiles: {store: {endpoint: 'http://minio:9000', accessKey: k}}\n",
		"files with a secret that isn't":       "store: {dsn: x}\nfiles: {store: {endpoint: 'http://minio:9000', accessKey: k, secretKeyFile: none}}\n",
		"files in clear text for the network":  "store: {dsn: x}\nfiles: {listen: '0.0.0.0:8704', store: {endpoint: 'http://minio:9000', accessKey: k, secretKeyFile: manager.yaml}}\n",
		"files by links that live for days":    "store: {dsn: x}\nfiles: {expires: 48h, store: {endpoint: 'http://minio:9000', accessKey: k, secretKeyFile: manager.yaml}}\n",
		"an overlap without end":               "store: {dsn: x}\nworkers: {docker: {to: 'host:1', forwarder: f}, rotate: {every: 1h, overlap: 1h}}\n",
		"a heartbeat without pause":            "store: {dsn: x}\nworkers: {docker: {to: 'host:1', forwarder: f}, heartbeat: {every: 100ms}}\n",
	} {
		if _, err := manager.LoadConfig(writeConfig(t, text)); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

// start runs a Manager and returns what it printed, its log, and what stops it.
func start(t *testing.T, config string) (out string, log *testenv.Output, stop func() error) {
	t.Helper()
	c, err := manager.LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var stdout testenv.Output
	log = &testenv.Output{}
	ended := make(chan error, 1)
	go func() { ended <- manager.Run(ctx, c, &stdout, slog.New(slog.NewJSONHandler(log, nil))) }()
	wait, done := context.WithTimeout(ctx, 30*time.Second)
	defer done()
	if err := testenv.Await(wait, testenv.HTTPHealthy("http://"+c.Operations.Listen+"/readyz", http.StatusOK)); err != nil {
		cancel()
		t.Fatalf("%v; it ended with %v", err, <-ended)
	}
	return stdout.String(), log, func() error {
		cancel()
		return <-ended
	}
}

func TestRun(t *testing.T) {
	api, ops := testenv.FreeAddr(t), testenv.FreeAddr(t)
	config := writeConfig(t, fmt.Sprintf("store: {dsn: keyward.db}\napi: {listen: %s}\noperations: {listen: %s}\n", api, ops))
	out, log, stop := start(t, config)
	token := ""
	for lines := bufio.NewScanner(strings.NewReader(out)); lines.Scan(); {
		if s := strings.TrimSpace(lines.Text()); strings.HasPrefix(s, nouns.AdminPrefix) {
			token = s
		}
	}
	c, err := client.New("http://"+api, token, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.CreateConsumer(t.Context(), client.Request{}, nouns.ConsumerSpec{ID: "w", Kind: "worker"}); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get("http://" + ops + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(metrics), "keyward_generation 5") || // store, token, two keys, consumer
		!strings.Contains(string(metrics), `keyward_api_requests_total{operation="POST /v1/consumers",status="201"} 1`) {
		t.Errorf("metrics lack the request or the generation: %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if token == "" || strings.Contains(log.String(), token) {
		t.Error("the first token was not printed, or is in the log")
	}

	out, _, stop = start(t, config)
	if out != "" {
		t.Errorf("the second start prints %d bytes, want nothing", len(out))
	}
	if st, err := c.Status(t.Context()); err != nil || st.Consumers != 1 {
		t.Errorf("after a restart: %+v, %v", st, err)
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

// TestRunWithFiles has no object store: its Manager serves all the same, and says
// on the files listener that the store is down.
func TestRunWithFiles(t *testing.T) {
	api, ops, files := testenv.FreeAddr(t), testenv.FreeAddr(t), testenv.FreeAddr(t)
	config := writeConfig(t, fmt.Sprintf(`
store: {dsn: keyward.db}
api: {listen: %q}
operations: {listen: %q}
gateways: {listen: %q}
files: {listen: %q, store: {endpoint: "http://%s", accessKey: keyward, secretKeyFile: minio.secret}}
`, api, ops, testenv.FreeAddr(t), files, testenv.FreeAddr(t)))
	const secret = "canary-of-the-object-store"
	if err := os.WriteFile(filepath.Join(filepath.Dir(config), "minio.secret"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, log, stop := start(t, config)
	key, err := os.ReadFile(filepath.Join(filepath.Dir(config), "files.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		key  string
		want int
	}{{"Bearer wrong", http.StatusUnauthorized}, {"Bearer " + strings.TrimSpace(string(key)), http.StatusNotFound}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+files+"/files", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", tt.key)
		req.Header.Set("X-Mse-Consumer", "nobody")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tt.want {
			t.Errorf("status %d, want %d", res.StatusCode, tt.want)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if said := log.String(); strings.Contains(said, secret) || strings.Contains(said, strings.TrimSpace(string(key))) {
		t.Error("a key is in the log")
	}
}

func TestRunWithTLS(t *testing.T) {
	ca := testenv.NewCA(t)
	cert, key := ca.Issue(t, "localhost")
	api, ops := testenv.FreeAddr(t), testenv.FreeAddr(t)
	config := writeConfig(t, fmt.Sprintf("store: {dsn: keyward.db}\napi: {listen: %s, cert: tls.crt, key: tls.key}\noperations: {listen: %s}\n", api, ops))
	for name, b := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(config), name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, _, stop := start(t, config)
	res, err := http.Get("http://" + api + "/openapi.json")
	if err == nil {
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			t.Error("the API answers in clear text")
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}

func TestRunPublishes(t *testing.T) {
	dist := testenv.Plugins(t)
	api, ops, plugins, folder := testenv.FreeAddr(t), testenv.FreeAddr(t), testenv.FreeAddr(t), t.TempDir()
	_, _, stop := start(t, writeConfig(t, fmt.Sprintf(`
store: {dsn: keyward.db}
api: {listen: %q}
operations: {listen: %q}
gateways: {listen: %q}
plugins:
  dir: %q
  listen: %q
  publish: {to: folder, folder: %q, url: "http://%s/plugins", cluster: outbound|8702||keyward.static}
`, api, ops, testenv.FreeAddr(t), dist, plugins, folder, plugins)))
	wait, done := context.WithTimeout(t.Context(), 30*time.Second)
	defer done()
	for _, name := range []string{"gate", "key-swap"} {
		var text []byte
		err := testenv.Await(wait, func(context.Context) (err error) {
			text, err = os.ReadFile(filepath.Join(folder, "keyward-"+name+".yaml"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Spec struct {
				URL, SHA256 string
				VMConfig    struct{ Env []map[string]string }               `yaml:"vmConfig"`
				Config      struct{ Manager struct{ Cluster, Key string } } `yaml:"pluginConfig"`
			}
		}
		if err := yaml.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		res, err := http.Get(r.Spec.URL)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		_, err = io.Copy(sum, res.Body)
		res.Body.Close()
		if err != nil || hex.EncodeToString(sum.Sum(nil)) != r.Spec.SHA256 {
			t.Errorf("%s: %s, %v", r.Spec.URL, res.Status, err)
		}
		if c := r.Spec.Config.Manager; c.Cluster != "outbound|8702||keyward.static" || c.Key == "" {
			t.Errorf("%s: configuration %+v", name, c)
		}
		if !strings.Contains(fmt.Sprint(r.Spec.VMConfig.Env), "KEYWARD_GATEWAY_TOKEN valueFrom:HOST") {
			t.Errorf("%s: environment %v", name, r.Spec.VMConfig.Env)
		}
	}
	err := testenv.Await(wait, func(context.Context) error {
		res, err := http.Get("http://" + ops + "/metrics")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err == nil && !strings.Contains(string(b), `keyward_publish_resources_total{resource="keyward-gate",result="created"} 1`) {
			err = errors.New("metrics lack what was published")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
}
