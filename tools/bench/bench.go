package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// A sample is what one round measured of one row, in microseconds per request.
type sample struct{ cpu, p50, p99 float64 }

// A measured row has one sample per round.
type measured struct {
	row
	samples []sample
}

// bench does the whole work.
func bench(ctx context.Context, o options) (*result, error) {
	files, err := gather(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "keyward-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	kit, err := newKit()
	if err != nil {
		return nil, err
	}
	rows, err := pick(plan(kit, files), o.rows)
	if err != nil {
		return nil, err
	}
	up, err := serve(kit.answer)
	if err != nil {
		return nil, err
	}
	defer up.close()
	rec, err := newRecorder()
	if err != nil {
		return nil, err
	}
	defer rec.close()
	b := &bencher{options: o, envoy: files.envoy, dir: dir, upstream: up, recorder: rec, env: kit.env}
	table, err := b.rounds(ctx, rows)
	if err != nil {
		return nil, err
	}
	say("measured so far:\n%s", newResult(o, table, nil).table())
	if o.recording != "" {
		return newResult(o, table, nil), nil
	}
	plugins, err := b.footprints(ctx, rows)
	if err != nil {
		return nil, err
	}
	return newResult(o, table, plugins), nil
}

type bencher struct {
	options
	envoy    string
	dir      string // for configurations and logs
	upstream *upstream
	recorder *recorder
	env      []string
}

func (b *bencher) start(ctx context.Context, r row, workers int) (*envoy, error) {
	listen, err := freeAddr()
	if err != nil {
		return nil, err
	}
	return startEnvoy(ctx, b.envoy, bootstrap{
		name: r.name, listen: listen, upstream: b.upstream.addr, manager: b.recorder.addr, chain: r.chain, workers: workers,
	}, b.env, b.dir)
}

// rounds starts an Envoy for every row, and measures them in turn.
func (b *bencher) rounds(ctx context.Context, rows []row) ([]measured, error) {
	table := make([]measured, len(rows))
	envoys := make([]*envoy, len(rows))
	for i, r := range rows {
		say("starting and warming up row %q", r.name)
		e, err := b.start(ctx, r, 1)
		if err != nil {
			return nil, err
		}
		defer e.close()
		table[i].row, envoys[i] = r, e
		if _, err := b.measure(ctx, e, r, b.warmup); err != nil {
			return nil, err
		}
	}
	for round := range b.options.rounds {
		say("round %d of %d", round+1, b.options.rounds)
		for n := range rows {
			i := (n + round) % len(rows) // no row always follows the same one
			s, err := b.measure(ctx, envoys[i], rows[i], b.requests)
			if err != nil {
				return nil, err
			}
			table[i].samples = append(table[i].samples, s)
		}
	}
	return table, nil
}

// measure sends n requests through e. It fails unless every one of them was
// answered and reached the upstream as the row wants it.
func (b *bencher) measure(ctx context.Context, e *envoy, r row, n int) (sample, error) {
	b.upstream.expect(r.reaches)
	batches := b.recorder.batches.Load()
	before, err := cpuTime(e.pid)
	if err != nil {
		return sample{}, err
	}
	took, err := load(ctx, e.addr, r.call, b.connections, n)
	if err != nil {
		return sample{}, fmt.Errorf("row %q: %w\n%s", r.name, err, e.tail())
	}
	after, err := cpuTime(e.pid)
	if err != nil {
		return sample{}, err
	}
	if err := b.upstream.check(n); err != nil {
		return sample{}, fmt.Errorf("row %q: %w\n%s", r.name, err, e.tail())
	}
	if r.records && b.recorder.batches.Load() == batches {
		return sample{}, fmt.Errorf("row %q: no records came", r.name)
	}
	slices.Sort(took)
	return sample{
		cpu: micros(after-before) / float64(n),
		p50: micros(quantile(took, 0.50)),
		p99: micros(quantile(took, 0.99)),
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// quantile is the nearest-rank quantile of sorted values.
func quantile[T any](sorted []T, q float64) T {
	i := int(q*float64(len(sorted))+0.5) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// median is the middle value, or the mean of the two in the middle.
func median[T cmp.Ordered](values []T, mean func(a, b T) T) T {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	if n%2 == 1 {
		return v[n/2]
	}
	return mean(v[n/2-1], v[n/2])
}
