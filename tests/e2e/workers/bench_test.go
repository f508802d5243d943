package workers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/heartbeat"
	"keyward/manager/store"
	"keyward/tests/testenv"
	"keyward/tools/demo/upstream"
)

// trials are how often each time is taken.
const trials = 7

// TestBenchWorkers measures how long Workers take from the wish to run and to make
// their first calls: one after the other, each beside a container that the engine
// makes of the same image by itself; then KEYWARD_BENCH_WORKERS at once. `make
// bench-workers` runs it.
func TestBenchWorkers(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("KEYWARD_BENCH_WORKERS"))
	if n < 1 {
		t.Skip("LEFT OUT: a measurement; `make bench-workers` runs it")
	}
	w := newWorld(t, setting{})
	image := w.Image(t, "agent", testenv.GoBuildStatic(t, "./tools/demo/agent"))
	w.bench(t, image, "warm", 1)
	var plain, ready, called []time.Duration
	for i := range trials {
		plain = append(plain, w.plain(t, image))
		one := w.bench(t, image, fmt.Sprint("single", i), 1)
		ready, called = append(ready, one.ready...), append(called, one.called...)
	}
	before := memory(t)
	crowd := w.bench(t, image, "crowd", n)
	containers, machine := w.usage(t), before-memory(t)
	// Among all those: from the first refused call, and from the last that the rules
	// wait for, to the suspension.
	first, enough := w.detect(t, w.Image(t, "unwell", testenv.GoBuildStatic(t, "./tests/e2e/workers/unwell")), 5)
	figures := map[string]any{
		"plain_start_ms": spread(plain), "ready_ms": spread(ready), "first_call_ms": spread(called),
		"ready_to_plain": float64(median(ready)) / float64(median(plain)),
		"workers":        n, "crowd_ready_ms": spread(crowd.ready), "crowd_first_call_ms": spread(crowd.called),
		"crowd_containers_mb": containers >> 20, "crowd_machine_mb": machine >> 20,
		"heartbeat_every_ms": heartbeat.Every.Milliseconds(), "detect_from_first_ms": spread(first), "detect_from_enough_ms": spread(enough),
	}
	b, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
	if err := os.WriteFile(filepath.Join(testenv.Root(t), "dist", "bench-workers.json"), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// plain is how long the engine takes to start a container that is nobody's Worker.
func (w *world) plain(t *testing.T, image string) time.Duration {
	t.Helper()
	start := time.Now()
	spec := fmt.Appendf(nil, `{"Image":%q,"HostConfig":{"NetworkMode":"none"}}`, image)
	var c struct{ ID string }
	if err := json.Unmarshal(w.Do(t, http.MethodPost, "/containers/create", bytes.NewReader(spec)), &c); err != nil {
		t.Fatal(err)
	}
	w.Docker.Post(t, "/containers/"+c.ID+"/start")
	took := time.Since(start)
	w.Do(t, http.MethodDelete, "/containers/"+c.ID+"?force=1", nil)
	return took
}

// A round is how long each of some Workers took to run, and to make a call that
// was decided.
type round struct{ ready, called []time.Duration }

// bench creates n Workers at once, and waits until each has made a call.
func (w *world) bench(t *testing.T, image, prefix string, n int) (r round) {
	t.Helper()
	start := time.Now()
	var left []string
	for i := range n {
		id := fmt.Sprint(prefix, "-", i)
		left = append(left, id)
		w.create(t, manager.NewWorker{
			ID: id, WorkerSpec: manager.WorkerSpec{Image: image, Limits: manager.WorkerLimits{MemoryMB: 64}},
			Grants: []manager.WorkerGrant{{Target: "github", GrantSpec: manager.GrantSpec{Tools: []string{upstream.ToolRead}}}, {Target: "llm"}},
		})
	}
	for deadline := start.Add(15 * time.Minute); len(left) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d have not called: %s", len(left), n, w.log.String())
		}
		got, err := w.Worker(t.Context(), left[0])
		if err != nil || got.Problem != "" {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Task != "" {
			continue
		}
		at, err := w.firstCall(t.Context(), got.Consumer)
		if errors.Is(err, errNotYet) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		r.ready, r.called = append(r.ready, got.Updated.Sub(start)), append(r.called, at.Sub(start))
		left = left[1:]
	}
	return r
}

var errNotYet = errors.New("it has not called yet")

// firstCall is when the first allowed request of a consumer was decided.
func (w *world) firstCall(ctx context.Context, consumer string) (time.Time, error) {
	l, err := w.QueryLog(ctx, store.LogFilter{Consumer: consumer, Kind: manager.EntryDecision}, manager.Page{Limit: 1})
	if err != nil || len(l.Items) == 0 {
		return time.Time{}, errors.Join(err, errNotYet)
	}
	return l.Items[0].Record.Time, nil
}

func (w *world) create(t *testing.T, n manager.NewWorker) {
	t.Helper()
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.CreateWorker(ctx, n)
		return err
	})
}

// usage is the memory of all running containers, in bytes.
func (w *world) usage(t *testing.T) (sum int64) {
	t.Helper()
	var list []struct{ ID string }
	if err := json.Unmarshal(w.Get(t, "/v1.41/containers/json"), &list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		var s struct {
			Memory struct{ Usage int64 } `json:"memory_stats"`
		}
		if err := json.Unmarshal(w.Get(t, "/v1.41/containers/"+c.ID+"/stats?stream=false&one-shot=true"), &s); err != nil {
			t.Fatal(err)
		}
		sum += s.Memory.Usage
	}
	return sum
}

// memory is what the machine has left, in bytes.
func memory(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(b, []byte("MemAvailable:"))
	var kb int64
	if _, err := fmt.Sscan(string(rest), &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// spread is the least, the median and the most of some times, in milliseconds.
func spread(list []time.Duration) map[string]int64 {
	m := median(list)
	return map[string]int64{"min": list[0].Milliseconds(), "median": m.Milliseconds(), "max": list[len(list)-1].Milliseconds()}
}
