package main

import (
	"fmt"
	"slices"
)

// A recording is what it costs to have each call recorded: the row that records
// against chain-mcp, round by round, since what else the machine does meets both
// halves of a round alike. Microseconds a request; latency is the median of a round.
type recording struct {
	Rounds    int        `json:"recording_rounds"`
	Chain     float64    `json:"chain_us"`               // latency of a call through the chain
	Adds      float64    `json:"chain_adds_us"`          // of it, what the chain adds
	Records   float64    `json:"recording_adds_us"`      // and recording beyond that
	Quartiles [2]float64 `json:"recording_quartiles_us"` // of the rounds
	Share     float64    `json:"recording_share"`        // of what the chain adds
	Whole     float64    `json:"recording_share_call"`   // of the whole call
	CPU       float64    `json:"recording_share_cpu"`    // of the CPU that the chain adds
}

// newRecording compares the rows; false: one of them was not measured.
func newRecording(table []measured) (recording, bool) {
	column := func(name string, of func(sample) float64) []float64 {
		i := slices.IndexFunc(table, func(m measured) bool { return m.name == name })
		if i < 0 {
			return nil
		}
		values := make([]float64, len(table[i].samples))
		for k, s := range table[i].samples {
			values[k] = of(s)
		}
		return values
	}
	pairs := func(of func(sample) float64) (chain, adds, records []float64) {
		none, chain, both := column("none", of), column(chainRow, of), column(recordedRow, of)
		if none == nil || chain == nil || both == nil {
			return nil, nil, nil
		}
		for i := range chain {
			adds, records = append(adds, chain[i]-none[i]), append(records, both[i]-chain[i])
		}
		return chain, adds, records
	}
	mean := func(a, b float64) float64 { return (a + b) / 2 }
	chain, adds, records := pairs(func(s sample) float64 { return s.p50 })
	if chain == nil {
		return recording{}, false
	}
	_, cpuAdds, cpuRecords := pairs(func(s sample) float64 { return s.cpu })
	sorted := slices.Sorted(slices.Values(records))
	r := recording{
		Rounds: len(records), Chain: tenth(median(chain, mean)), Adds: tenth(median(adds, mean)), Records: tenth(median(records, mean)),
		Quartiles: [2]float64{tenth(quantile(sorted, 0.25)), tenth(quantile(sorted, 0.75))},
	}
	r.Share, r.Whole = share(r.Records, r.Adds), share(r.Records, r.Chain)
	r.CPU = share(median(cpuRecords, mean), median(cpuAdds, mean))
	return r, true
}

// share is a part of a whole, to a thousandth; of nothing it is nothing.
func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return tenth(part/whole*100) / 100
}

// String judges the latency.
func (r recording) String() string {
	return fmt.Sprintf("%s: recording adds %.1f us (half of %d rounds between %.1f and %.1f) to a call, %.1f %% of what chain-mcp adds to it; at most %.0f",
		met(r.Share <= mostRecording), r.Records, r.Rounds, r.Quartiles[0], r.Quartiles[1], 100*r.Share, 100*mostRecording)
}
