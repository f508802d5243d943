package revoke_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/manager/store"
	"keyward/plugins/changes"
	"keyward/tests/testenv"
	"keyward/tools/wasmlink/link"
)

// patient waits longer than it takes until another VM polls.
var patient = client.Request{Wait: true, Seconds: 30}

// trappingGate builds the real gate, but for one thing: see testdata.
func trappingGate(t *testing.T) string {
	t.Helper()
	root, dir := testenv.Root(t), t.TempDir()
	overlay, file := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "gate.wasm")
	command := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOEXPERIMENT=nogreenteagc")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	command("tools/wasmlink/overlay.sh", overlay)
	b, err := os.ReadFile(overlay)
	must(err)
	var o struct{ Replace map[string]string }
	must(json.Unmarshal(b, &o))
	from := filepath.Join(root, "tests/e2e/revoke/testdata/trapping")
	o.Replace[filepath.Join(root, "plugins/gate/main.go")] = from + ".go.txt"
	o.Replace[filepath.Join(root, "plugins/gate/trap_wasm.s")] = from + ".s.txt"
	b, err = json.Marshal(o)
	must(err)
	must(os.WriteFile(overlay, b, 0o600))
	command("go", "build", "-tags=lean", "-overlay="+overlay, "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -X keyward/plugins/live.build=keyward-build:gate-trapping", "-o", file, "./plugins/gate")
	wasm, err := os.ReadFile(file)
	must(err)
	wasm, err = link.Link(wasm)
	must(err)
	must(os.WriteFile(file, wasm, 0o600))
	return file
}

// A watch asks all the while for what must never be allowed.
type watch struct {
	stop    chan struct{}
	wg      sync.WaitGroup
	asked   atomic.Int64
	allowed atomic.Int64
}

// never starts a watch over requests with these tokens.
func (w *world) never(tokens ...string) *watch {
	x := &watch{stop: make(chan struct{})}
	url := "http://" + w.envoy.Addr + "/api/ping"
	x.wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-x.stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			// A new connection each time comes to any of the threads.
			c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
			req, err := http.NewRequest(http.MethodGet, url, nil)
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer "+tokens[i%len(tokens)])
			if res, err := c.Do(req); err == nil {
				res.Body.Close()
				x.asked.Add(1)
				if res.StatusCode < http.StatusBadRequest {
					x.allowed.Add(1)
				}
			}
		}
	})
	return x
}

func (x *watch) end(t *testing.T) {
	t.Helper()
	close(x.stop)
	x.wg.Wait()
	if x.allowed.Load() > 0 || x.asked.Load() == 0 {
		t.Errorf("of %d requests that nothing allows %d were allowed", x.asked.Load(), x.allowed.Load())
	}
}

// decided asks on each thread until the answer is the one wanted. It is an error
// if it is allowed meanwhile and should not be. A VM that is being loaded anew
// answers 503, and Envoy may close the connection with it.
func (w *world) decided(when, token string, want bool) {
	w.Helper()
	for range threads * 3 {
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		w.must(testenv.Await(ctx, func(ctx context.Context) error {
			err := w.call(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, token)
			switch refused := err != nil && (strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "403")); {
			case err == nil && !want:
				w.Fatalf("%s: a request was allowed", when)
			case err == nil || refused && !want:
				return nil
			case refused:
				return fmt.Errorf("%s: refused: %w", when, err)
			}
			return fmt.Errorf("%s: %w", when, err)
		}))
		cancel()
	}
}

// newConsumer creates one with a token, which may use the target.
func (w *world) newConsumer(r client.Request, id string) (token string) {
	w.Helper()
	_, _, err := w.api.CreateConsumer(w.Context(), client.Request{}, nouns.ConsumerSpec{ID: id, Kind: "worker"})
	w.must(err)
	issued, _, err := w.api.IssueToken(w.Context(), client.Request{}, nouns.TokenSpec{Consumer: id})
	w.must(err)
	_, c, err := w.api.CreateGrant(w.Context(), r, nouns.NewGrant{Consumer: id, Target: "api", GrantSpec: nouns.GrantSpec{Paths: []string{"/api"}}})
	w.must(inForce(r, c, err))
	return issued.Secret
}

func (w *world) suspend(r client.Request, id string) {
	w.Helper()
	_, c, err := w.api.SuspendConsumer(w.Context(), r, id)
	w.must(inForce(r, c, err))
}

func (w *world) resume(r client.Request, id string) {
	w.Helper()
	_, c, err := w.api.ResumeConsumer(w.Context(), r, id)
	w.must(inForce(r, c, err))
}

// TestThePollingVMTraps: the VM that polls dies with half of a change written, one
// after the other. The others go on with what is in force; one of them takes over,
// and what is revoked then is revoked on every thread.
func TestThePollingVMTraps(t *testing.T) {
	testenv.Heavy(t, "a real Envoy")
	gate := trappingGate(t)
	w := newWorldWithoutEnvoy(t)
	w.startEnvoy(testenv.EnvoyOptions{Gate: gate})
	w.await()
	out := w.newConsumer(patient, "out")
	w.suspend(patient, "out")
	watch := w.never(out, w.token.Secret+"x")
	for i := range 3 {
		id := fmt.Sprintf("trap-%d", i)
		_, _, err := w.api.CreateConsumer(w.Context(), client.Request{}, nouns.ConsumerSpec{ID: id, Kind: "worker"})
		w.must(err)
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		w.must(testenv.Await(ctx, func(context.Context) error {
			if !strings.Contains(w.envoy.Log(), "trap: "+id) {
				return errors.New("no VM has trapped")
			}
			return nil
		}))
		cancel()
		w.decided(id+", the others", w.token.Secret, true)
		w.suspend(patient, "worker")
		w.decided(id+", suspended", w.token.Secret, false)
		w.resume(patient, "worker")
		w.decided(id+", resumed", w.token.Secret, true)
	}
	watch.end(t)
	if n := strings.Count(w.envoy.Log(), "unreachable"); n < 3 {
		t.Errorf("Envoy tells of %d traps, want 3", n)
	}
}

// fetch has the command fetch what a gateway may start with.
func (w *world) fetch() []byte {
	w.Helper()
	token := filepath.Join(w.dir, "gateway.token")
	w.must(os.WriteFile(token, []byte(w.options.Token), 0o600))
	cmd := exec.CommandContext(w.Context(), testenv.GoBuild(w, "keyward/tools/keyward"), "snapshot", "fetch",
		"--manager", "http://"+w.addresses[2], "--manager-key", changes.FormatPublicKey(w.options.Manager.Key), "--token-file", token)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	w.must(err)
	return b
}

// TestEnvoyIsStartedAgain: killed and started anew with the Manager there and with
// it gone, with the last snapshot and without one, and with a Manager that came
// back from a backup.
func TestEnvoyIsStartedAgain(t *testing.T) {
	testenv.Heavy(t, "a real Envoy")
	w := newWorld(t)
	none := client.Request{} // for 90 seconds the API would wait for who was killed
	out := w.newConsumer(none, "out")
	w.suspend(none, "out")
	w.settled()
	w.envoy.Kill()

	w.startEnvoy(testenv.EnvoyOptions{})
	watch := w.never(out)
	w.decided("started again", w.token.Secret, true)
	w.decided("started again", out, false)
	watch.end(t)
	last := w.fetch()
	backup := filepath.Join(w.dir, "backup.db")
	w.backup(backup)
	w.envoy.Kill()

	w.stopManager()
	w.startEnvoy(testenv.EnvoyOptions{})
	for range threads * 3 {
		if err := w.call(http.DefaultClient, w.token.Secret); err == nil {
			t.Fatal("without a Manager and a snapshot a request was allowed")
		}
	}
	w.envoy.Kill()

	w.startEnvoy(testenv.EnvoyOptions{Snapshot: last})
	watch = w.never(out)
	w.decided("with the last snapshot", w.token.Secret, true)
	w.decided("with the last snapshot", out, false)
	w.startManager()
	w.suspend(none, "worker")
	w.settled()
	w.decided("the Manager is back", w.token.Secret, false)
	w.resume(none, "worker")
	w.decided("the Manager is back", w.token.Secret, true)
	late := w.newConsumer(none, "late")
	w.decided("created after the backup", late, true)
	watch.end(t)

	before, err := w.api.Status(w.Context())
	w.must(err)
	w.stopManager()
	w.restore(backup)
	w.startManager()
	after, err := w.api.Status(w.Context())
	w.must(err)
	if after.Epoch == before.Epoch || after.Generation >= before.Generation {
		t.Errorf("the backup is in epoch %q at %d, the store was in %q at %d", after.Epoch, after.Generation, before.Epoch, before.Generation)
	}
	w.settled()
	w.decided("after the restore", late, false)
	w.decided("after the restore", w.token.Secret, true)
	w.decided("after the restore", out, false)
	w.suspend(none, "worker")
	w.settled()
	w.decided("suspended in the new epoch", w.token.Secret, false)
}

// settled waits until the gateway has confirmed what the Manager has now.
func (w *world) settled() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	w.must(testenv.Await(ctx, func(ctx context.Context) error {
		s, err := w.api.Status(ctx)
		if err != nil {
			return err
		}
		g, err := w.api.Gateway(ctx, "edge")
		if err != nil {
			return err
		}
		there := map[string]bool{} // plugins of this Envoy; the instances of one that was killed are gone for good
		for _, i := range g.Instances {
			if i.Epoch == s.Epoch && i.Confirmed >= s.Generation {
				plugin, _, _ := strings.Cut(i.Build, "-")
				there[plugin] = true
			}
		}
		if len(there) < 2 {
			return fmt.Errorf("generation %d is confirmed by %v alone: %+v", s.Generation, there, g.Instances)
		}
		return nil
	}))
}

func (w *world) backup(path string) {
	w.Helper()
	s, err := store.Open(w.Context(), filepath.Join(w.dir, "keyward.db"), store.Options{})
	w.must(err)
	defer s.Close()
	w.must(s.Backup(w.Context(), path))
}

func (w *world) restore(backup string) {
	w.Helper()
	db := filepath.Join(w.dir, "keyward.db")
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(db + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			w.Fatal(err)
		}
	}
	w.must(store.Restore(w.Context(), backup, db, store.Options{}))
}
