package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// A result is what one run has found out.
type result struct {
	options options
	rows    []figures // none first, helpers last
	plugins []footprint
	// recording compares two of the rows, if both were measured.
	recording recording
	recorded  bool
}

// Figures are the medians of one row over all rounds, in microseconds per
// request, with the least and the most CPU time of a round.
type figures struct {
	name          string
	cpu, p50, p99 float64
	least, most   float64
	helper        bool
}

func newResult(o options, table []measured, plugins []footprint) *result {
	r := &result{options: o, plugins: plugins}
	r.recording, r.recorded = newRecording(table)
	for _, m := range table {
		r.rows = append(r.rows, m.figures())
		if m.name == "gate" {
			if swap, ok := alone(table); ok {
				r.rows = append(r.rows, swap.figures())
			}
		}
	}
	slices.SortStableFunc(r.rows, func(a, b figures) int {
		switch {
		case a.helper == b.helper:
			return 0
		case a.helper:
			return 1
		default:
			return -1
		}
	})
	return r
}

// alone is the row of key-swap. It serves no request that no plugin before it
// has allowed, so it is measured behind a stamp, and the stamp's share is taken
// off again, round by round.
func alone(table []measured) (measured, bool) {
	find := func(name string) []sample {
		for _, m := range table {
			if m.name == name {
				return m.samples
			}
		}
		return nil
	}
	none, stamp, both := find("none"), find("stamp"), find("stamp+key-swap")
	if none == nil || stamp == nil || both == nil {
		return measured{}, false
	}
	m := measured{row: row{name: "key-swap"}}
	for i, s := range both {
		m.samples = append(m.samples, sample{
			cpu: s.cpu - stamp[i].cpu + none[i].cpu,
			p50: s.p50 - stamp[i].p50 + none[i].p50,
			p99: s.p99 - stamp[i].p99 + none[i].p99,
		})
	}
	return m, true
}

func (m measured) figures() figures {
	column := func(of func(sample) float64) []float64 {
		values := make([]float64, len(m.samples))
		for i, s := range m.samples {
			values[i] = of(s)
		}
		return values
	}
	mean := func(a, b float64) float64 { return (a + b) / 2 }
	cpu := column(func(s sample) float64 { return s.cpu })
	return figures{
		name: m.name, helper: m.helper,
		cpu:   median(cpu, mean),
		p50:   median(column(func(s sample) float64 { return s.p50 }), mean),
		p99:   median(column(func(s sample) float64 { return s.p99 }), mean),
		least: slices.Min(cpu), most: slices.Max(cpu),
	}
}

// added is the CPU time that a row takes beyond the row none.
func (r *result) added(name string) (float64, bool) {
	none, ok := r.find("none")
	if !ok {
		return 0, false
	}
	f, ok := r.find(name)
	return f.cpu - none.cpu, ok
}

func (r *result) find(name string) (figures, bool) {
	i := slices.IndexFunc(r.rows, func(f figures) bool { return f.name == name })
	if i < 0 {
		return figures{}, false
	}
	return r.rows[i], true
}

// writeJSON writes the medians in the form that other programs read.
func (r *result) writeJSON(name string) error {
	type rowJSON struct {
		Name string  `json:"name"`
		CPU  float64 `json:"cpu_us"`
		P50  float64 `json:"p50_us"`
		P99  float64 `json:"p99_us"`
	}
	type pluginJSON struct {
		Name    string  `json:"name"`
		Bytes   int     `json:"bytes"`
		Compile float64 `json:"compile_ms"`
		VMBytes int64   `json:"vm_bytes"`
	}
	out := struct {
		Rows    []rowJSON    `json:"rows"`
		Plugins []pluginJSON `json:"plugins"`
	}{[]rowJSON{}, []pluginJSON{}}
	for _, f := range r.rows {
		if !f.helper {
			out.Rows = append(out.Rows, rowJSON{f.name, tenth(f.cpu), tenth(f.p50), tenth(f.p99)})
		}
	}
	for _, p := range r.plugins {
		out.Plugins = append(out.Plugins, pluginJSON{p.name, p.bytes, tenth(micros(p.compile) / 1000), p.vmBytes})
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, append(b, '\n'), 0o644)
}

func tenth(v float64) float64 { return math.Round(v*10) / 10 }
