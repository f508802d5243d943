package workers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/manager/workers"
)

// The test binary runs itself as a service that is killed at a point.
const (
	envDir = "KEYWARD_TEST_CRASH_DIR"
	envAt  = "KEYWARD_TEST_CRASH_AT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		if err := serveUntilDone(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveUntilDone runs a service until there is nothing to do.
func serveUntilDone(dir string) error {
	n, err := strconv.Atoi(os.Getenv(envAt))
	if err != nil {
		return err
	}
	w, err := openWorld(dir, &crash{n: n})
	if err != nil {
		return err
	}
	defer w.Close()
	s, err := workers.New(w.Store, w.backend, workers.Options{
		Environment: workers.Environment{Gateway: "http://gateway:8080"}, Parts: w.parts, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	for ctx.Err() == nil {
		l, err := w.WorkersToDo(ctx, manager.Page{})
		if err != nil {
			return err
		}
		if len(l.Items) == 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	err = ctx.Err()
	cancel()
	<-done
	return err
}

// serve runs a service as a process of its own, and reports whether it was killed.
func serve(t *testing.T, dir string, at int) (killed bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), exe)
	c.Env = append(os.Environ(), envDir+"="+dir, envAt+"="+strconv.Itoa(at))
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return false
}

// TestKilledAtEveryStep has every task killed before and after each thing that it
// does outside of the store, and goes on with another process.
func TestKilledAtEveryStep(t *testing.T) {
	spec := manager.WorkerSpec{Image: imageA, Token: manager.ByFile}
	for _, tt := range []struct {
		name string
		ask  func(*store.Tx, context.Context) error
		gone bool
	}{
		{name: "create", ask: nil},
		{name: "reset", ask: func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.ResetWorker(ctx, "researcher", 0)
			return err
		}},
		{name: "update", ask: func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.UpdateWorker(ctx, "researcher", 0, manager.WorkerSpec{Image: imageB, Token: manager.ByFile})
			return err
		}},
		{name: "rotate", ask: func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.RotateWorker(ctx, "researcher", 0, manager.WorkerRotation{})
			return err
		}},
		{name: "delete", gone: true, ask: func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.DeleteWorker(ctx, "researcher", 0)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for n, killed := 1, true; killed; n++ {
				dir := t.TempDir()
				w := newWorld(t, dir)
				w.create(t, spec)
				if tt.ask != nil {
					serve(t, dir, 0)
					w.change(t, tt.ask)
				}
				if killed = serve(t, dir, n); killed {
					serve(t, dir, 0)
				}
				if tt.gone {
					w.gone(t)
				} else {
					w.whole(t)
				}
				if t.Failed() {
					t.Fatalf("when killed at point %d", n)
				}
				if !killed {
					t.Logf("killed at each of %d points", n-1)
					if n < 3 {
						t.Error("hardly anything was cut short")
					}
				}
			}
		})
	}
}

// whole checks that a Worker is as wanted, and that nothing more is there.
func (w *world) whole(t *testing.T) {
	t.Helper()
	got, err := w.Worker(t.Context(), "researcher")
	if err != nil {
		t.Fatal(err)
	}
	c := w.backend.must(t, "researcher")
	if got.Task != "" || got.Problem != "" || c.Run != got.Run || c.Phase != manager.PhaseRunning || c.Image != got.Image {
		t.Errorf("it is %+v, its container %+v", got, c)
	}
	if live := w.live(t, got.Consumer); len(live) != 1 || !live[got.TokenID] {
		t.Errorf("live tokens %v, want %q alone", live, got.TokenID)
	}
	if ok, err := w.holds(t, got.TokenID, c.Files["token"]); !ok || err != nil {
		t.Errorf("its files have another token, %v", err)
	}
}

// holds reports whether text is the token of an id, as a gateway would find out.
func (w *world) holds(t *testing.T, id, text string) (bool, error) {
	snap, err := w.Snapshot(t.Context())
	if err != nil {
		return false, err
	}
	for _, c := range snap.Consumers {
		for _, token := range c.Tokens {
			if token.ID == id {
				return token.SHA256 == digest(text), nil
			}
		}
	}
	return false, nil
}
