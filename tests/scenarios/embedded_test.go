package scenarios_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/plugins/key-swap/swap"
	"keyward/tests/testenv"
	embeddedgateway "keyward/tools/gateway"
)

// embeddedWorkers is how many VMs of each plugin serve requests, beside the main
// one.
const embeddedWorkers = 2

// embedded is the embedded gateway, over a network.
type embedded struct {
	addr     string
	snapshot string // file
	current  string // its name
	log      *testenv.Output
	w        *World
	rec      *Recorder
}

func newEmbedded(t *testing.T, w *World, rec *Recorder) gateway {
	t.Helper()
	dir := t.TempDir()
	e := &embedded{addr: testenv.FreeAddr(t), snapshot: filepath.Join(dir, "snapshot.json"), current: "base", log: &testenv.Output{}, w: w, rec: rec}
	var c strings.Builder
	fmt.Fprintf(&c, "listeners: [{address: \"%s\"}]\nworkers: %d\nlimits: {buffer_bytes: %d}\nclusters:\n", e.addr, embeddedWorkers, 9<<20)
	for _, cluster := range clusters {
		fmt.Fprintf(&c, "- {name: %s, urls: [\"http://%s\"]}\n", cluster, rec.listen(t, cluster))
	}
	c.WriteString("routes:\n")
	for path, name := range routes {
		fmt.Fprintf(&c, "- {name: %s, path: %s, cluster: %s}\n", name, path, name)
	}
	plugins := testenv.Plugins(t)
	fmt.Fprintf(&c, "plugins:\n- {name: gate, vm_id: gate, file: %s/gate.wasm, snapshot: snapshot.json, fail: reload}\n", plugins)
	fmt.Fprintf(&c, "- name: key-swap\n  vm_id: key-swap\n  file: %s/key-swap.wasm\n  snapshot: snapshot.json\n  fail: reload\n", plugins)
	fmt.Fprintf(&c, "  env: [{name: %s, from_file: keys}]\n", swap.EnvKeys)
	for name, content := range map[string][]byte{
		"gateway.yaml": []byte(c.String()), "keys": []byte(w.privateKeys(t, "base")), "snapshot.json": w.snapshot(t, "base"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e.run(t, filepath.Join(dir, "gateway.yaml"))
	return e
}

func (e *embedded) run(t *testing.T, file string) {
	t.Helper()
	c, err := embeddedgateway.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	g, err := embeddedgateway.New(t.Context(), c, slog.New(slog.NewTextHandler(e.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the gateway ended with %v", err)
		}
	})
}

func (e *embedded) use(t *testing.T, snapshot string) {
	t.Helper()
	if snapshot == "down" {
		e.rec.close()
	}
	if e.current == snapshot {
		return
	}
	e.current = snapshot
	before := len(e.log.String())
	next := e.snapshot + ".new"
	if err := os.WriteFile(next, e.w.snapshot(t, snapshot), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, e.snapshot); err != nil {
		t.Fatal(err)
	}
	err := testenv.Await(t.Context(), func(context.Context) error {
		log := e.log.String()[before:]
		if n := strings.Count(log, `"snapshot in force"`) + strings.Count(log, `"snapshot refused`); n < 2 {
			return fmt.Errorf("%d plugins have looked at the snapshot, want 2", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (e *embedded) play(protocol string, r request) (*Exchange, error) {
	return exchange(e.addr, protocol, r)
}

func (e *embedded) logs() string { return e.log.String() }
