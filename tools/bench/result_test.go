package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// samples makes one row's rounds; latencies follow the CPU time.
func samples(cpu ...float64) []sample {
	s := make([]sample, len(cpu))
	for i, v := range cpu {
		s[i] = sample{cpu: v, p50: 10 * v, p99: 100 * v}
	}
	return s
}

func newTestResult() *result {
	return newResult(quick, []measured{
		{row{name: "none"}, samples(30, 10, 20)},
		{row{name: "stamp", helper: true}, samples(31, 12, 23)},
		{row{name: "stamp+key-swap", helper: true}, samples(81, 62, 73)},
		{row{name: "gate"}, samples(40, 41, 42)},
		{row{name: "chain-mcp"}, samples(100, 100, 100)},
		{row{name: "peer-transformer"}, samples(180, 180, 180)},
		{row{name: "peer-topdown"}, samples(220, 220, 220)},
	}, []footprint{{name: "gate", bytes: 3 << 20, compile: 1500 * time.Millisecond, vmBytes: 7 << 20}})
}

func TestMediansAreWritten(t *testing.T) {
	name := filepath.Join(t.TempDir(), "dist", "bench.json")
	if err := newTestResult().writeJSON(name); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/bench.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("bench.json differs from testdata (-want +got):\n%s", diff)
	}
}

func TestBarsAreJudged(t *testing.T) {
	want := []string{
		"met: chain-mcp adds 0.50 of what Higress' transformer doing one header edit adds; at most 1.00",
		"MISSED: chain-mcp adds 0.40 of what OPA's topdown in a plugin adds; at most 0.33",
		"met: gate has 3.00 MiB of wasm (at most 4), compiles in 1.5 s (2), takes 7.0 MiB per VM (15)",
	}
	if diff := cmp.Diff(want, newTestResult().verdicts()); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
}

func TestAPeerThatAddsNothingIsNoMeasure(t *testing.T) {
	r := newResult(quick, []measured{
		{row{name: "none"}, samples(20)},
		{row{name: "chain-mcp"}, samples(100)},
		{row{name: "peer-transformer"}, samples(19)},
	}, nil)
	if got := r.verdicts(); got != nil {
		t.Errorf("verdicts = %q, want none", got)
	}
}

func TestHelpersComeLast(t *testing.T) {
	var got []string
	for _, f := range newTestResult().rows {
		got = append(got, f.name)
	}
	want := []string{"none", "gate", "key-swap", "chain-mcp", "peer-transformer", "peer-topdown", "stamp", "stamp+key-swap"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestQuantile(t *testing.T) {
	tests := []struct {
		name   string
		sorted []int
		q      float64
		want   int
	}{
		{"the middle of an odd number", []int{1, 2, 3}, 0.5, 2},
		{"the lower middle of an even number", []int{1, 2, 3, 4}, 0.5, 2},
		{"the only one", []int{7}, 0.99, 7},
		{"the highest", []int{1, 2, 3, 4}, 1, 4},
		{"the lowest", []int{1, 2, 3, 4}, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := quantile(tt.sorted, tt.q); got != tt.want {
				t.Errorf("quantile(%v, %v) = %d, want %d", tt.sorted, tt.q, got, tt.want)
			}
		})
	}
}
