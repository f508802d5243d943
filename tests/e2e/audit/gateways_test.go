package audit_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"keyward/plugins/key-swap/swap"
	"keyward/plugins/live"
	"keyward/tests/testenv"
)

// gateways are the ways to start one.
var gateways = map[string]func(*world) (string, *testenv.Process){"embedded": startEmbedded, "envoy": startEnvoy}

// eachGateway runs a test behind both.
func eachGateway(t *testing.T, test func(t *testing.T, start func(*world) (string, *testenv.Process))) {
	for _, name := range []string{"embedded", "envoy"} {
		t.Run(name, func(t *testing.T) { test(t, gateways[name]) })
	}
}

func (w *world) privateKey() string {
	w.Helper()
	key, err := w.sealing.Reveal()
	w.must(err)
	return key
}

func startEnvoy(w *world) (string, *testenv.Process) {
	w.Helper()
	e := testenv.StartEnvoy(w, testenv.EnvoyOptions{
		Keys: w.privateKey(), Token: w.token, Manager: w.live,
		Upstreams: map[string]string{syncTarget: w.upstream.addr, looseTarget: w.upstream.addr, "manager": w.channel},
	})
	return "http://" + e.Addr, e.Process
}

const embedded = `listeners: [{address: %[1]s}]
workers: 2
compile_cache: compiled
clusters:
- {name: manager, urls: ["http://%[2]s"]}
- {name: mcp, urls: ["http://%[3]s"]}
- {name: api, urls: ["http://%[3]s"]}
routes:
- {name: mcp, path: /mcp, cluster: mcp}
- {name: api, path: /api, cluster: api}
plugins:
- name: gate
  file: %[4]s/gate.wasm
  vm_id: gate
  env: [{name: %[6]s, from_env: %[6]s}]
  configuration: {manager: {cluster: manager, authority: manager, key: %[5]q}}
- name: key-swap
  file: %[4]s/key-swap.wasm
  vm_id: key-swap
  env: [{name: %[6]s, from_env: %[6]s}, {name: %[7]s, from_env: %[7]s}]
  configuration: {manager: {cluster: manager, authority: manager, key: %[5]q}}
`

// startEmbedded runs `keyward gateway`, the same plugins on wazero.
func startEmbedded(w *world) (string, *testenv.Process) {
	w.Helper()
	addr := testenv.FreeAddr(w)
	text := fmt.Sprintf(embedded, addr, w.channel, w.upstream.addr, testenv.Plugins(w),
		base64.RawURLEncoding.EncodeToString(w.live.Key), live.EnvToken, swap.EnvKeys)
	path := filepath.Join(w.dir, "gateway.yaml")
	w.must(os.WriteFile(path, []byte(text), 0o600))
	p := testenv.Start(w, testenv.Command{
		Path: w.keyward, Args: []string{"gateway", "--config", path}, Dir: w.dir,
		Env:     []string{live.EnvToken + "=" + w.token, swap.EnvKeys + "=" + w.privateKey()},
		Healthy: testenv.Listening(addr),
	})
	return "http://" + addr, p
}
