package workers_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyward/manager/channel"
	"keyward/manager/docker"
	"keyward/plugins/changes"
	"keyward/plugins/key-swap/swap"
	"keyward/plugins/live"
	"keyward/tests/testenv"
	"keyward/tools/dockerd"
)

// routes are those of a gateway, by the clusters that they lead to.
var routes = map[string]string{"mcp": "path: /mcp", "llm": "path: /v1", "matrix": "path: /_matrix", "files": "path: /files", "objects": "path: /keyward, host_rewrite: objects.keyward"}

// startGateway runs a gateway that follows the store, and a backend whose Workers
// reach it.
func (w *world) startGateway(t *testing.T, envoy bool, token string, clusters map[string]string) {
	t.Helper()
	public, signing, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	follow := httptest.NewServer(channel.New(w.Store, channel.Options{Key: signing, Log: w.logger(), Stop: stop}))
	t.Cleanup(func() { close(stop); follow.Close() })
	clusters["manager"] = follow.Listener.Addr().String()
	keys, err := w.key.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	if envoy {
		e := testenv.StartEnvoy(t, testenv.EnvoyOptions{
			Keys: keys, Token: token, Upstreams: clusters,
			Manager: &live.Config{Cluster: "manager", Authority: "manager", Key: public, MaxStale: time.Minute},
		})
		w.gateway = e
		w.onHost(t, e.Addr)
		return
	}
	plugins, addr := testenv.Plugins(t), testenv.FreeAddr(t)
	var c strings.Builder
	fmt.Fprintf(&c, "listeners: [{address: %s}]\nclusters:\n", addr)
	for name, at := range clusters {
		fmt.Fprintf(&c, "- {name: %s, urls: [\"http://%s\"]}\n", name, at)
	}
	c.WriteString("routes:\n")
	for name, route := range routes {
		if clusters[name] != "" {
			fmt.Fprintf(&c, "- {name: %s, %s, cluster: %[1]s, timeout: 0s}\n", name, route)
		}
	}
	c.WriteString("plugins:\n")
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
	w.address = addr
	l := w.Docker.Listen(t, "0.0.0.0:0")
	go dockerd.Relay(l, addr)
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
