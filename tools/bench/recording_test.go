package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A machine that is twice as slow in one round is so for both halves of a pair.
func TestRecordingIsComparedRoundByRound(t *testing.T) {
	table := []measured{
		{row{name: "none"}, samples(10, 20, 10, 10)},
		{row{name: chainRow}, samples(30, 60, 30, 30)},
		{row{name: recordedRow}, samples(31, 62, 31, 35)},
	}
	got, ok := newRecording(table)
	want := recording{
		Rounds: 4, Chain: 300, Adds: 200, Records: 15, Quartiles: [2]float64{10, 20}, Share: 0.075, Whole: 0.05, CPU: 0.075,
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("recording (-want +got), %v:\n%s", ok, diff)
	}
	if want := "MISSED: recording adds 15.0 us (half of 4 rounds between 10.0 and 20.0) to a call, 7.5 % of what chain-mcp adds to it; at most 5"; got.String() != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	if _, ok := newRecording(table[:2]); ok {
		t.Error("compared without the row that records")
	}
}
