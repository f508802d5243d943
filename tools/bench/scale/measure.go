package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
)

// How much is measured of each.
const (
	lookups     = 500 // consumers, spread over all
	changeCount = 50
	wholeLimit  = 10 * time.Minute
)

// A row is what was measured at one size.
type row struct {
	Consumers int     `json:"consumers"`
	Targets   int     `json:"targets"`
	Grants    int     `json:"grants"`
	FillS     float64 `json:"fill_s"`  // making all of them
	ReadS     float64 `json:"read_s"`  // the Manager alone reads a whole snapshot
	ReadMB    float64 `json:"read_mb"` // and has so much more on its heap at most
	WholeS    float64 `json:"whole_s"` // from a new gateway's start to its first allowed request

	CommitMS    float64 `json:"commit_ms"`     // a change of one consumer, median
	DeltaMS     float64 `json:"delta_ms"`      // reading what it changed
	ChangeMS    float64 `json:"change_ms"`     // from its begin to its confirmation by gate and key-swap
	ChangeMaxMS float64 `json:"change_max_ms"` // and the longest

	FirstUS float64 `json:"first_us"` // a whole request of a consumer that the VM has not seen, median
	AgainUS float64 `json:"again_us"` // and of one that it has

	GateMB     float64 `json:"gate_vm_mb"` // memory of the largest VM once the whole was read
	SwapMB     float64 `json:"key_swap_vm_mb"`
	GateUsedMB float64 `json:"gate_vm_used_mb"` // and after all requests
	SwapUsedMB float64 `json:"key_swap_vm_used_mb"`
	SharedMB   float64 `json:"shared_data_mb"` // of both plugins together
}

func measure(ctx context.Context, z size) (row, error) {
	r := row{Consumers: z.consumers, Targets: z.targets, Grants: z.consumers * min(z.grants, z.targets)}
	dir, err := os.MkdirTemp("", "keyward-scale-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	start := time.Now()
	f, err := fill(ctx, filepath.Join(dir, "keyward.db"), z)
	if err != nil {
		return r, err
	}
	defer f.Close()
	r.FillS = time.Since(start).Seconds()
	if err := f.read(ctx, &r); err != nil {
		return r, err
	}
	w, err := begin(ctx, dir, f)
	if err != nil {
		return r, err
	}
	defer w.end()
	for _, step := range []func(context.Context, *row) error{w.whole, w.idle, w.lookups, w.changes, w.used} {
		if err := step(ctx, &r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// read reads a whole snapshot as the channel does, and drops it.
func (f *filled) read(ctx context.Context, r *row) error {
	heap := func() float64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	runtime.GC()
	before, start := heap(), time.Now()
	err := f.Changes(ctx, "", 0, snapshot.Everyone, func(*snapshot.Snapshot) error {
		r.ReadMB = max(r.ReadMB, heap()-before)
		return nil
	})
	r.ReadS = time.Since(start).Seconds()
	return err
}

func (w *world) whole(ctx context.Context, r *row) error {
	start := time.Now()
	for {
		status, err := w.request(ctx, 0)
		if err == nil && status == http.StatusOK {
			break
		}
		if time.Since(start) > wholeLimit || ctx.Err() != nil {
			return fmt.Errorf("the gateway does not follow: status %d, %w", status, errors.Join(err, ctx.Err()))
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.WholeS = time.Since(start).Seconds()
	return nil
}

func (w *world) idle(ctx context.Context, r *row) error {
	size, err := w.megabytes(ctx)
	r.GateMB, r.SwapMB = size[`keyward_gateway_vm_memory_bytes{plugin="gate"}`], size[`keyward_gateway_vm_memory_bytes{plugin="key-swap"}`]
	return err
}

func (w *world) used(ctx context.Context, r *row) error {
	size, err := w.megabytes(ctx)
	r.GateUsedMB, r.SwapUsedMB = size[`keyward_gateway_vm_memory_bytes{plugin="gate"}`], size[`keyward_gateway_vm_memory_bytes{plugin="key-swap"}`]
	r.SharedMB = size["keyward_gateway_shared_data_bytes"]
	return err
}

// lookups sends a request of each of some consumers, and another at once.
func (w *world) lookups(ctx context.Context, r *row) error {
	var first, again []float64
	for i := range lookups {
		for _, took := range []*[]float64{&first, &again} {
			start := time.Now()
			status, err := w.request(ctx, i*len(w.tokens)/lookups)
			if err != nil || status != http.StatusOK {
				return fmt.Errorf("look-up: status %d, %w", status, err)
			}
			*took = append(*took, float64(time.Since(start).Microseconds()))
		}
	}
	r.FirstUS, r.AgainUS = median(first), median(again)
	return nil
}

// changes suspends and resumes a consumer, and waits until the gateway confirms
// each.
func (w *world) changes(ctx context.Context, r *row) error {
	var commit, delta, force []float64
	states := []snapshot.State{snapshot.Suspended, snapshot.Active}
	for i := range changeCount {
		seen := w.Seen()
		start := time.Now()
		gen, err := w.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
			_, err := tx.SetConsumerState(ctx, consumerID(1), 0, states[i%2])
			return err
		})
		if err != nil {
			return err
		}
		commit = append(commit, since(start))
		if err := w.confirmed(ctx, gen, seen); err != nil {
			return err
		}
		force = append(force, since(start))
		start = time.Now()
		st, err := w.Generation(ctx)
		if err != nil {
			return err
		}
		if err := w.Changes(ctx, st.Epoch, gen-1, snapshot.Everyone, func(*snapshot.Snapshot) error { return nil }); err != nil {
			return err
		}
		delta = append(delta, since(start))
	}
	r.CommitMS, r.DeltaMS, r.ChangeMS, r.ChangeMaxMS = median(commit), median(delta), median(force), slices.Max(force)
	return nil
}

// confirmed waits until the gateway has confirmed a generation.
func (w *world) confirmed(ctx context.Context, gen uint64, seen <-chan struct{}) error {
	for {
		st, err := w.Generation(ctx)
		if err != nil {
			return err
		}
		g, err := w.Gateway(ctx, "bench")
		if err != nil {
			return err
		}
		if !g.Lags(st, gen) {
			return nil
		}
		select {
		case <-seen:
			seen = w.Seen()
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// since is in milliseconds.
func since(start time.Time) float64 { return float64(time.Since(start).Microseconds()) / 1000 }

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
