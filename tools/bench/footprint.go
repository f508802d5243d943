package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// A footprint is what a plugin costs before and beside any request.
type footprint struct {
	name    string
	bytes   int           // of the wasm file
	compile time.Duration // wazero's compiler on all CPUs, no cache
	vmBytes int64         // resident memory that one more VM of it adds to an Envoy, after load
}

// footprints measures every plugin of the rows once, each in the row that shows
// it alone.
func (b *bencher) footprints(ctx context.Context, rows []row) ([]footprint, error) {
	var all []footprint
	perWorker := map[string]int64{} // row to memory that one more worker takes
	for _, r := range rows {
		if r.name != "none" && len(r.chain) != 1 && r.name != "stamp+key-swap" {
			continue
		}
		say("memory of row %q", r.name)
		n, err := b.workerBytes(ctx, r)
		if err != nil {
			return nil, err
		}
		perWorker[r.name] = n
	}
	for _, r := range rows {
		base, ok := "none", len(r.chain) == 1 && !r.helper
		if r.name == "stamp+key-swap" {
			base, ok = "stamp", true
		}
		if !ok {
			continue
		}
		p := r.chain[len(r.chain)-1]
		say("compiling %s", p.name)
		f, err := b.compiled(ctx, p)
		if err != nil {
			return nil, err
		}
		f.vmBytes = perWorker[r.name] - perWorker[base]
		all = append(all, f)
	}
	return all, nil
}

// workers of the smaller and the larger Envoy whose memory is compared.
const fewWorkers, manyWorkers = 1, 3

// workerBytes is how much memory one more worker takes: the difference between
// two Envoys that differ in nothing else, after the same load on each worker.
func (b *bencher) workerBytes(ctx context.Context, r row) (int64, error) {
	few, err := b.resident(ctx, r, fewWorkers)
	if err != nil {
		return 0, err
	}
	many, err := b.resident(ctx, r, manyWorkers)
	if err != nil {
		return 0, err
	}
	return (many - few) / (manyWorkers - fewWorkers), nil
}

// resident is the memory of an Envoy that has served some requests.
func (b *bencher) resident(ctx context.Context, r row, workers int) (int64, error) {
	e, err := b.start(ctx, r, workers)
	if err != nil {
		return 0, err
	}
	defer e.close()
	const perWorker = 1000 // Go's heaps have reached their size by then
	b.upstream.expect(r.reaches)
	if _, err := load(ctx, e.addr, r.call, b.connections*workers, perWorker*workers); err != nil {
		return 0, fmt.Errorf("row %q: %w\n%s", r.name, err, e.tail())
	}
	return anonymousBytes(e.pid)
}

// compiled measures the file and its compilation; the memory is left open.
func (b *bencher) compiled(ctx context.Context, p *plugin) (footprint, error) {
	wasm, err := os.ReadFile(p.wasm)
	if err != nil {
		return footprint{}, err
	}
	times := make([]time.Duration, b.compiles)
	for i := range times {
		if times[i], err = compileTime(ctx, wasm); err != nil {
			return footprint{}, err
		}
	}
	mean := func(a, b time.Duration) time.Duration { return (a + b) / 2 }
	return footprint{name: p.name, bytes: len(wasm), compile: median(times, mean)}, nil
}

func compileTime(ctx context.Context, wasm []byte) (time.Duration, error) {
	engine := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	defer engine.Close(ctx)
	start := time.Now()
	ctx = experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0)) // as tools/gateway does
	if _, err := engine.CompileModule(ctx, wasm); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}
