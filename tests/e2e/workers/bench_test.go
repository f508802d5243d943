package workers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/tests/testenv"
	"keyward/tools/demo/upstream"
)

// TestBenchWorkers measures how long Workers take from the wish to the end of
// their first calls: one after the other, then KEYWARD_BENCH_WORKERS at once. `make
// bench-workers` runs it.
func TestBenchWorkers(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("KEYWARD_BENCH_WORKERS"))
	if n < 1 {
		t.Skip("LEFT OUT: a measurement; `make bench-workers` runs it")
	}
	w := newWorld(t, setting{})
	image := w.Image(t, "agent", testenv.GoBuildStatic(t, "./tools/demo/agent"))
	w.bench(t, image, "warm", 1)
	var single []time.Duration
	for i := range 5 {
		single = append(single, w.bench(t, image, fmt.Sprint("single-", i), 1)...)
	}
	crowd := w.bench(t, image, "crowd", n)
	first, enough := w.detect(t, image, 5)
	b, err := json.MarshalIndent(map[string]any{
		"workers": n, "single_ms": spread(single), "crowd_ms": spread(crowd),
		// Among all those: from the first refused call, and from the last that the rules
		// wait for, to the suspension.
		"detect_from_first_ms": spread(first), "detect_from_enough_ms": spread(enough),
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("create to first calls: %s", b)
	path := filepath.Join(testenv.Root(t), "dist", "bench-workers.json")
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// bench creates n Workers at once, and returns when each had its answers.
func (w *world) bench(t *testing.T, image, prefix string, n int) []time.Duration {
	t.Helper()
	start := time.Now()
	left := map[string]bool{}
	for i := range n {
		id := fmt.Sprint(prefix, "-", i)
		left[id] = true
		w.change(t, func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.CreateWorker(ctx, manager.NewWorker{
				ID: id, WorkerSpec: manager.WorkerSpec{Image: image, Limits: manager.WorkerLimits{MemoryMB: 64}},
				Grants: []manager.WorkerGrant{{Target: "github", GrantSpec: manager.GrantSpec{Tools: []string{upstream.ToolRead}}}, {Target: "llm"}},
			})
			return err
		})
	}
	var took []time.Duration
	for deadline := start.Add(10 * time.Minute); len(left) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d have not called: %s", len(left), n, w.log.String())
		}
		for id := range left {
			if b, err := w.backend.Logs(t.Context(), id, 1); err == nil && len(b) > 0 {
				took = append(took, time.Since(start))
				delete(left, id)
			}
		}
	}
	return took
}

// spread is the least, the median and the most of some times, in milliseconds.
func spread(list []time.Duration) map[string]int64 {
	slices.Sort(list)
	return map[string]int64{
		"min": list[0].Milliseconds(), "median": list[len(list)/2].Milliseconds(), "max": list[len(list)-1].Milliseconds(),
	}
}
