package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/plugins/key-swap/swap"
	"keyward/plugins/snapshot"
	"keyward/tests/testenv"
)

// A gateway is one that runs, with a world behind it.
type gateway struct {
	url    string // without TLS
	tlsURL string
	caFile string // PEM of the CA that TLS clients trust
	logs   func() string
}

// eachGateway runs test behind both gateways, and looks for secrets in what they
// wrote.
func eachGateway(t *testing.T, w *world, test func(t *testing.T, g *gateway)) {
	for name, start := range map[string]func(*testing.T, *world) *gateway{"embedded": startEmbedded, "envoy": startEnvoy} {
		t.Run(name, func(t *testing.T) {
			g := start(t, w)
			test(t, g)
			for _, secret := range w.secrets {
				if strings.Contains(g.logs(), secret) {
					t.Errorf("a secret that begins with %q is in the log", secret[:4])
				}
			}
			if n := w.refused.Load(); n > 0 {
				t.Errorf("servers got %d requests without their real key", n)
			}
		})
	}
}

// certificate writes a CA and a server certificate, and returns their files.
func certificate(t *testing.T) (ca, cert, key string) {
	t.Helper()
	authority := testenv.NewCA(t)
	certPEM, keyPEM := authority.Issue(t, "localhost")
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return file("ca.crt", authority.PEM), file("tls.crt", certPEM), file("tls.key", keyPEM)
}

func (w *world) privateKey(t *testing.T) string {
	t.Helper()
	key, err := w.gateway.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func startEnvoy(t *testing.T, w *world) *gateway {
	t.Helper()
	ca, cert, key := certificate(t)
	certPEM, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	e := testenv.StartEnvoy(t, testenv.EnvoyOptions{
		Snapshot: snapshot.Encode(&w.snapshot), Keys: w.privateKey(t), Upstreams: w.upstreams, Cert: certPEM, Key: keyPEM,
	})
	return &gateway{url: "http://" + e.Addr, tlsURL: "https://" + e.TLSAddr, caFile: ca, logs: e.Log}
}

// startEmbedded runs `keyward gateway` with the routes of deploy/envoy/envoy.yaml.
func startEmbedded(t *testing.T, w *world) *gateway {
	t.Helper()
	ca, cert, key := certificate(t)
	dir := t.TempDir()
	plain, tls := testenv.FreeAddr(t), testenv.FreeAddr(t)
	var c strings.Builder
	fmt.Fprintf(&c, "listeners:\n- address: %s\n- address: %s\n  tls: {cert: %s, key: %s}\n", plain, tls, cert, key)
	c.WriteString("clusters:\n")
	for cluster, addr := range w.upstreams {
		fmt.Fprintf(&c, "- {name: %s, urls: [\"http://%s\"]}\n", cluster, addr)
	}
	c.WriteString("routes:\n")
	for cluster, path := range map[string]string{"mcp": "/mcp", "llm": "/v1", "git": "/git", "api": "/api"} {
		if w.upstreams[cluster] != "" {
			fmt.Fprintf(&c, "- {name: %s, path: %s, cluster: %s, timeout: 0s}\n", cluster, path, cluster)
		}
	}
	plugins := testenv.Plugins(t)
	fmt.Fprintf(&c, "plugins:\n- {name: gate, file: %s/gate.wasm, vm_id: gate, snapshot: snapshot.json}\n", plugins)
	fmt.Fprintf(&c, "- name: key-swap\n  file: %s/key-swap.wasm\n  vm_id: key-swap\n  snapshot: snapshot.json\n", plugins)
	fmt.Fprintf(&c, "  env: [{name: %s, from_env: %s}]\n", swap.EnvKeys, swap.EnvKeys)
	for name, content := range map[string][]byte{"gateway.yaml": []byte(c.String()), "snapshot.json": snapshot.Encode(&w.snapshot)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := testenv.Start(t, testenv.Command{
		Path:    testenv.GoBuild(t, "keyward/tools/keyward"),
		Args:    []string{"gateway", "--config", "gateway.yaml"},
		Dir:     dir,
		Env:     []string{swap.EnvKeys + "=" + w.privateKey(t)},
		Healthy: testenv.Listening(plain),
	})
	return &gateway{url: "http://" + plain, tlsURL: "https://" + tls, caFile: ca, logs: p.Log}
}
