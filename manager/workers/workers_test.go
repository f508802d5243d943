package workers_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/manager/workers"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/policies"
)

var (
	imageA = "sha256:" + strings.Repeat("a", 64)
	imageB = "sha256:" + strings.Repeat("b", 64)
	admin  = store.Mutation{By: manager.Actor{ID: "at-alice", Name: "alice", Role: manager.Admin}}
)

// A world is a store and a backend, in one folder.
type world struct {
	*store.Store
	backend *folder
	parts   []workers.Part
	log     strings.Builder
	logMu   sync.Mutex
	now     atomic.Int64 // added to the clock
}

func (w *world) Write(b []byte) (int, error) {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.Write(b)
}

func (w *world) clock() time.Time { return time.Now().Add(time.Duration(w.now.Load())) }

func openWorld(dir string, c *crash) (*world, error) {
	w := &world{backend: &folder{dir: filepath.Join(dir, "containers"), crash: c}}
	for _, name := range []string{"matrix", "files"} {
		w.parts = append(w.parts, &part{name, dir, c})
	}
	if err := os.MkdirAll(w.backend.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	w.Store, err = store.Open(context.Background(), filepath.Join(dir, "keyward.db"), store.Options{Now: w.clock})
	return w, err
}

func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	w, err := openWorld(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func (w *world) service(rotation workers.Rotation) (*workers.Service, error) {
	return workers.New(w.Store, w.backend, workers.Options{
		Environment: workers.Environment{Gateway: "http://gateway:8080"}, Parts: w.parts, Rotation: rotation,
		Log: slog.New(slog.NewJSONHandler(w, nil)), Now: w.clock,
	})
}

// run runs a service until the test, or the returned function, ends it.
func (w *world) run(t *testing.T, rotation workers.Rotation) (stop func()) {
	t.Helper()
	s, err := w.service(rotation)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func (w *world) change(t *testing.T, fn func(*store.Tx, context.Context) error) {
	t.Helper()
	if _, err := w.Mutate(t.Context(), admin, func(tx *store.Tx) error { return fn(tx, t.Context()) }); err != nil {
		t.Fatal(err)
	}
}

func (w *world) create(t *testing.T, spec manager.WorkerSpec) {
	t.Helper()
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		for _, n := range []manager.NewTarget{
			{ID: "github", TargetSpec: manager.TargetSpec{Kind: policies.KindMCP, Match: []snapshot.Match{{Path: "/mcp/github"}}}},
			{ID: "claude", TargetSpec: manager.TargetSpec{Kind: policies.KindLLM, Labels: map[string]string{"api": "anthropic"}, Match: []snapshot.Match{{Path: "/claude/v1"}}}},
		} {
			if _, err := tx.CreateTarget(ctx, n); err != nil {
				return err
			}
		}
		_, err := tx.CreateWorker(ctx, manager.NewWorker{
			ID: "researcher", WorkerSpec: spec,
			Grants: []manager.WorkerGrant{{Target: "github", GrantSpec: manager.GrantSpec{Tools: []string{"issues.read"}}}, {Target: "claude"}},
		})
		return err
	})
}

// settled waits until a Worker has no task.
func (w *world) settled(t *testing.T) manager.Worker {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		got, err := w.Worker(t.Context(), "researcher")
		if err != nil {
			t.Fatal(err)
		}
		if got.Task == "" {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("still at it: %+v\n%s", got, w.logged())
		}
	}
}

func (w *world) logged() string {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.String()
}

// live are the ids of a consumer's live tokens.
func (w *world) live(t *testing.T, consumer string) map[string]bool {
	t.Helper()
	l, err := w.Tokens(t.Context(), store.TokenFilter{Consumer: consumer}, manager.Page{Limit: manager.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, row := range l.Items {
		if row.Live(w.clock()) {
			ids[row.ID] = true
		}
	}
	return ids
}

func TestLifecycle(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.run(t, workers.Rotation{})
	w.create(t, manager.WorkerSpec{Image: imageA})
	first := w.settled(t)
	c := w.backend.must(t, "researcher")
	if c.Phase != manager.PhaseRunning || c.Run != first.Run || !first.Has("matrix") || !first.Has("files") {
		t.Fatalf("created: %+v, %+v", first, c)
	}
	checkEnvironment(t, c)
	if live := w.live(t, first.Consumer); len(live) != 1 || !live[first.TokenID] {
		t.Errorf("live tokens %v", live)
	}

	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.SuspendWorker(ctx, "researcher", 0)
		return err
	})
	w.settled(t)
	if c := w.backend.must(t, "researcher"); c.Phase != manager.PhaseStopped {
		t.Errorf("suspended: %+v", c)
	}
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.ResumeWorker(ctx, "researcher", 0)
		return err
	})
	w.settled(t)
	if c := w.backend.must(t, "researcher"); c.Phase != manager.PhaseRunning || c.Run != first.Run {
		t.Errorf("resumed: %+v; want the same container", c)
	}
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.UpdateWorker(ctx, "researcher", 0, manager.WorkerSpec{Image: imageB})
		return err
	})
	updated := w.settled(t)
	if c := w.backend.must(t, "researcher"); c.Image != imageB || c.Run == first.Run || len(w.live(t, first.Consumer)) != 1 {
		t.Errorf("updated: %+v", c)
	}
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.ResetWorker(ctx, "researcher", 0)
		return err
	})
	reset := w.settled(t)
	if live := w.live(t, first.Consumer); reset.Run == updated.Run || len(live) != 1 || !live[reset.TokenID] {
		t.Errorf("reset: %+v, live %v", reset, live)
	}
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.DeleteWorker(ctx, "researcher", 0)
		return err
	})
	w.gone(t)
	if strings.Contains(w.logged(), "kwt_") {
		t.Error("a token is in the log")
	}
}

// gone waits until nothing is left of the Worker but what is evidence.
func (w *world) gone(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, err := w.Worker(t.Context(), "researcher")
		if errors.Is(err, manager.ErrNotFound) {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("not gone: %v\n%s", err, w.logged())
		}
	}
	if _, err := w.backend.read("researcher"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("its container: %v", err)
	}
	if _, err := w.Consumer(t.Context(), "worker-researcher"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("its consumer: %v", err)
	}
	for _, p := range w.parts {
		if _, err := os.Stat(filepath.Join(p.(*part).dir, p.Name()+"-researcher", "retired")); err != nil {
			t.Errorf("part %q: %v; want it there and retired", p.Name(), err)
		}
	}
}

// checkEnvironment checks what a Worker is told: its token and URLs, nothing else.
func checkEnvironment(t *testing.T, c container) {
	t.Helper()
	secret := c.Files["token"]
	for name, want := range map[string]string{
		"KEYWARD_TOKEN": secret, "KEYWARD_GATEWAY": "http://gateway:8080",
		"OPENAI_API_KEY": secret, "OPENAI_BASE_URL": "http://gateway:8080/v1",
		"ANTHROPIC_API_KEY": secret, "ANTHROPIC_BASE_URL": "http://gateway:8080/claude",
		"HICLAW_WORKER_NAME": "researcher", "HICLAW_WORKER_GATEWAY_KEY": secret, "HICLAW_WORKER_MATRIX_TOKEN": secret,
		"HICLAW_AI_GATEWAY_URL": "http://gateway:8080", "HICLAW_MATRIX_URL": "http://gateway:8080", "HICLAW_STORAGE_PREFIX": "workers/researcher",
	} {
		if c.Env[name] != want {
			t.Errorf("%s = %q, want %q", name, c.Env[name], want)
		}
	}
	var config struct {
		MCPServers map[string]struct {
			URL     string
			Headers map[string]string
		}
	}
	if err := json.Unmarshal([]byte(c.Files["mcp.json"]), &config); err != nil {
		t.Fatal(err)
	}
	if s := config.MCPServers["github"]; len(config.MCPServers) != 1 || s.URL != "http://gateway:8080/mcp/github" || s.Headers["Authorization"] != "Bearer "+secret {
		t.Errorf("mcp.json = %s", c.Files["mcp.json"])
	}
}

func TestTokenByFile(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.run(t, workers.Rotation{})
	w.create(t, manager.WorkerSpec{Image: imageA, Token: manager.ByFile})
	first := w.settled(t)
	before := w.backend.must(t, "researcher")
	for name, v := range before.Env {
		if strings.Contains(v, "kwt_") {
			t.Errorf("%s holds the token, which was to be in a file", name)
		}
	}
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.RotateWorker(ctx, "researcher", 0, manager.WorkerRotation{OverlapSeconds: 60})
		return err
	})
	rotated := w.settled(t)
	after := w.backend.must(t, "researcher")
	if after.Run != before.Run || after.Files["token"] == before.Files["token"] || rotated.TokenID == first.TokenID {
		t.Errorf("rotated: %+v; want another token in the same container", rotated)
	}
	if live := w.live(t, first.Consumer); len(live) != 2 || !live[first.TokenID] {
		t.Errorf("live tokens %v, want both for the overlap", live)
	}
	w.now.Add(int64(61 * time.Second))
	if live := w.live(t, first.Consumer); len(live) != 1 || !live[rotated.TokenID] {
		t.Errorf("after the overlap: live tokens %v", live)
	}
	// One that is suspended may be rotated too, and runs with it when it is resumed.
	for _, change := range []func(*store.Tx, context.Context) error{
		func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.SuspendWorker(ctx, "researcher", 0)
			return err
		},
		func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.RotateWorker(ctx, "researcher", 0, manager.WorkerRotation{})
			return err
		},
		func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.ResumeWorker(ctx, "researcher", 0)
			return err
		},
	} {
		w.change(t, change)
		w.settled(t)
	}
	if resumed := w.backend.must(t, "researcher"); resumed.Phase != manager.PhaseRunning || resumed.Files["token"] == after.Files["token"] {
		t.Errorf("rotated while it was suspended, and resumed: %+v", resumed)
	}
}

func TestTriedAgain(t *testing.T) {
	w := newWorld(t, t.TempDir())
	var tries atomic.Int64
	w.backend.refuse = func() error {
		if tries.Add(1) < 3 {
			return errors.New("the engine is away")
		}
		return nil
	}
	w.run(t, workers.Rotation{})
	w.create(t, manager.WorkerSpec{Image: imageA})
	if got := w.settled(t); got.Problem != "" || !got.Has(manager.DoneContainer) || len(w.live(t, got.Consumer)) != 1 {
		t.Errorf("once the engine is back: %+v", got)
	}
	if !strings.Contains(w.logged(), "the engine is away") {
		t.Error("the log does not say what was wrong")
	}
}

func TestPermanentFailure(t *testing.T) {
	w := newWorld(t, t.TempDir())
	var ok atomic.Bool
	w.backend.refuse = func() error {
		if ok.Load() {
			return nil
		}
		return &manager.Error{Kind: manager.KindWorker, Err: manager.ErrState, Why: "no such image"}
	}
	w.run(t, workers.Rotation{})
	w.create(t, manager.WorkerSpec{Image: imageA})
	failed := w.settled(t)
	if !strings.Contains(failed.Problem, "no such image") || failed.Has(manager.DoneContainer) || len(w.live(t, failed.Consumer)) != 0 {
		t.Errorf("given up: %+v, live tokens %v; want neither container nor token", failed, w.live(t, failed.Consumer))
	}
	ok.Store(true)
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.UpdateWorker(ctx, "researcher", 0, manager.WorkerSpec{Image: imageB})
		return err
	})
	if mended := w.settled(t); mended.Problem != "" || !mended.Has(manager.DoneContainer) {
		t.Errorf("with another image: %+v", mended)
	}
}

// TestUpdateToNothing: while the new image is not there the old container runs
// with its token, and if it never will be, the update was never wanted.
func TestUpdateToNothing(t *testing.T) {
	w := newWorld(t, t.TempDir())
	var away, gone atomic.Bool
	w.backend.fetch = func(image string) error {
		switch {
		case image == imageB && gone.Load():
			return &manager.Error{Kind: manager.KindWorker, Err: manager.ErrState, Why: "no registry has it"}
		case image == imageB && away.Load():
			return errors.New("the registry is away")
		}
		return nil
	}
	away.Store(true)
	w.run(t, workers.Rotation{})
	w.create(t, manager.WorkerSpec{Image: imageA, Labels: map[string]string{"team": "old"}})
	first := w.settled(t)
	update := func(spec manager.WorkerSpec) {
		w.change(t, func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.UpdateWorker(ctx, "researcher", 0, spec)
			return err
		})
	}
	asBefore := func(when string) {
		t.Helper()
		c := w.backend.must(t, "researcher")
		if live := w.live(t, first.Consumer); c.Run != first.Run || c.Image != imageA || c.Phase != manager.PhaseRunning || len(live) != 1 || !live[first.TokenID] {
			t.Errorf("%s: container %+v, live tokens %v; want those of before", when, c, live)
		}
	}
	update(manager.WorkerSpec{Image: imageB, Labels: map[string]string{"team": "new"}})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		got, err := w.Worker(t.Context(), "researcher")
		if err == nil && got.Problem == "the registry is away" {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("it is %+v, %v", got, err)
		}
	}
	asBefore("while the registry is away")
	gone.Store(true)
	w.change(t, func(tx *store.Tx, ctx context.Context) error { // is tried at once
		_, err := tx.ResumeWorker(ctx, "researcher", 0)
		return err
	})
	got := w.settled(t)
	if got.Image != imageA || got.Previous != nil || got.Labels["team"] != "new" || !strings.Contains(got.Problem, "no registry has it") || got.Run != first.Run {
		t.Errorf("given up: %+v; want it as before, and why", got)
	}
	asBefore("given up")
	gone.Store(false)
	away.Store(false)
	update(manager.WorkerSpec{Image: imageB})
	if got := w.settled(t); got.Image != imageB || got.Problem != "" || got.Run == first.Run || len(w.live(t, first.Consumer)) != 1 {
		t.Errorf("once it is there: %+v", got)
	}
}

// TestUpdateWhileSuspended: the container that resumes is the new one.
func TestUpdateWhileSuspended(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.run(t, workers.Rotation{})
	w.create(t, manager.WorkerSpec{Image: imageA})
	first := w.settled(t)
	for _, change := range []func(*store.Tx, context.Context) (manager.Worker, error){
		func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
			return tx.SuspendWorker(ctx, "researcher", 0)
		},
		func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
			return tx.UpdateWorker(ctx, "researcher", 0, manager.WorkerSpec{Image: imageB})
		},
		func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
			return tx.ResumeWorker(ctx, "researcher", 0)
		},
	} {
		w.change(t, func(tx *store.Tx, ctx context.Context) error { _, err := change(tx, ctx); return err })
		w.settled(t)
	}
	if c := w.backend.must(t, "researcher"); c.Image != imageB || c.Run == first.Run || c.Phase != manager.PhaseRunning {
		t.Errorf("its container is %+v", c)
	}
}

func TestOrphansAndLostContainers(t *testing.T) {
	w := newWorld(t, t.TempDir())
	stop := w.run(t, workers.Rotation{})
	w.create(t, manager.WorkerSpec{Image: imageA})
	first := w.settled(t)
	stop()
	if err := w.backend.write("nobodys", container{Run: "r", Phase: manager.PhaseRunning}); err != nil {
		t.Fatal(err)
	}
	if err := w.backend.Remove(t.Context(), "researcher"); err != nil {
		t.Fatal(err)
	}
	w.run(t, workers.Rotation{})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, gone := w.backend.read("nobodys")
		c, err := w.backend.read("researcher")
		if errors.Is(gone, manager.ErrNotFound) && err == nil && c.Run != first.Run {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("orphan: %v; the lost one: %+v, %v", gone, c, err)
		}
	}
	if w.settled(t); len(w.live(t, first.Consumer)) != 1 {
		t.Errorf("live tokens %v", w.live(t, first.Consumer))
	}
}

func digest(text string) string {
	sum := token.Digest(text)
	return hex.EncodeToString(sum[:])
}
