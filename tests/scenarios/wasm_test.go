package scenarios_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"keyward/plugins/filter"
	"keyward/plugins/key-swap/swap"
	"keyward/tests/testenv"
	"keyward/tools/gateway/chain"
	"keyward/tools/gateway/wasmhost"
	"keyward/tools/gateway/wasmhost/wasmtest"
)

// wasm is the plugins' binaries on wazero, on several workers in turn.
type wasm struct {
	t    *testing.T // of all rows
	w    *World
	rec  *Recorder
	log  *syncLog
	host *wasmhost.Host
	keys string // private keys that the VMs were started with
	turn int
	down bool
}

// syncLog is written by several workers.
type syncLog struct {
	mu sync.Mutex
	strings.Builder
}

func (l *syncLog) add(plugin string, _ filter.Level, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.WriteString(plugin + ": " + line + "\n")
}

func newWasm(t *testing.T, w *World, rec *Recorder) gateway {
	t.Helper()
	g := &wasm{t: t, w: w, rec: rec, log: &syncLog{}}
	g.start(w.privateKeys(t, "base"))
	return g
}

// start runs new VMs, without a snapshot.
func (g *wasm) start(keys string) {
	t := g.t
	t.Helper()
	g.keys = keys
	dir := testenv.Plugins(t)
	var plugins []wasmhost.Plugin
	for _, name := range []string{"gate", "key-swap"} {
		code, err := os.ReadFile(filepath.Join(dir, name+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		p := wasmhost.Plugin{Name: name, Code: code, VMID: name, Configuration: pluginConfig(nil), Reload: true}
		if name == "key-swap" {
			p.Env = map[string]string{swap.EnvKeys: keys}
		}
		plugins = append(plugins, p)
	}
	var err error
	g.host, err = wasmhost.New(t.Context(), plugins, wasmhost.Options{
		Workers: 2, CacheDir: wasmtest.CacheDir(t), Persona: wasmhost.Envoy, Log: g.log.add,
		Fault: func(f chain.Fault) { t.Errorf("fault: %v", f) },
	})
	if err != nil {
		t.Fatal(err)
	}
	host := g.host
	t.Cleanup(func() { host.Close(context.Background()) })
}

func (g *wasm) use(t *testing.T, snapshot string) {
	t.Helper()
	g.down = snapshot == "down"
	if keys := g.w.privateKeys(t, snapshot); keys != g.keys {
		g.start(keys)
	}
	for _, name := range []string{"gate", "key-swap"} {
		if err := g.host.Configure(name, pluginConfig(g.w.snapshot(t, snapshot))); err != nil {
			t.Fatal(err)
		}
	}
}

func (g *wasm) play(protocol string, r request) (*Exchange, error) {
	workers := g.host.Workers()
	worker := workers[g.turn%len(workers)]
	g.turn++
	p := &inProcess{filters: worker.Filters(), rec: g.rec, down: g.down, do: worker.Do}
	return p.play(protocol, r)
}

func (g *wasm) logs() string {
	g.log.mu.Lock()
	defer g.log.mu.Unlock()
	return g.log.String()
}
