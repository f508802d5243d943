package main

import (
	"fmt"
	"slices"

	"keyward/plugins/live"
)

// A plugin is one wasm module with its configuration.
type plugin struct {
	name   string
	wasm   string // file
	config string // plugin configuration; "": none
	env    []string
	// holds: it asks to hold headers until it has seen the body, which plain
	// Envoy must be told to allow.
	holds bool
}

// A row is one line of the table: a chain of plugins and the request it gets.
type row struct {
	name  string
	chain []*plugin
	call  call
	// reaches is what the upstream must see of some headers on every request; ""
	// is absent. A row that does not do its work is not measured.
	reaches map[string]string
	records bool // it sends records to the recorder
	// helper rows are measured and printed, and are no part of dist/bench.json.
	helper bool
}

// plan returns all rows, in the order of the table.
func plan(k *kit, f *files) []row {
	floor := &plugin{name: "floor", wasm: f.floor}
	floor2 := &plugin{name: "floor-again", wasm: f.floor}
	stamp := &plugin{name: "stamp", wasm: f.floor, config: k.verdict}
	gate := &plugin{name: "gate", wasm: f.gate, config: k.config, holds: true}
	swap := &plugin{name: "key-swap", wasm: f.keySwap, config: k.config, env: []string{gatewayKeys}, holds: true}
	recording := &plugin{name: "gate-recording", wasm: f.gate, config: k.recorded, env: []string{live.EnvToken}, holds: true}
	transformer := &plugin{name: "peer-transformer", wasm: f.transformer, config: transformerConfig, holds: true}
	topdown := &plugin{name: "peer-topdown", wasm: f.topdown, config: k.topdown, holds: true}

	mcp, llm := k.mcp(), k.llm()
	untouched := map[string]string{"authorization": "Bearer " + k.token}
	removed := map[string]string{"authorization": ""}
	swapped := map[string]string{"authorization": "Bearer " + k.key}
	return []row{
		{name: "none", call: mcp, reaches: untouched},
		{name: "floor", chain: []*plugin{floor}, call: mcp, reaches: untouched},
		{name: "floor x2", chain: []*plugin{floor, floor2}, call: mcp, reaches: untouched, helper: true},
		{name: "stamp", chain: []*plugin{stamp}, call: mcp, reaches: untouched, helper: true},
		{name: "stamp+key-swap", chain: []*plugin{stamp, swap}, call: mcp, reaches: swapped, helper: true},
		{name: "gate", chain: []*plugin{gate}, call: mcp, reaches: removed},
		{name: chainRow, chain: []*plugin{gate, swap}, call: mcp, reaches: swapped},
		{name: recordedRow, chain: []*plugin{recording, swap}, call: mcp, reaches: swapped, records: true, helper: true},
		{name: "chain-llm", chain: []*plugin{gate, swap}, call: llm, reaches: swapped},
		{name: "peer-transformer", chain: []*plugin{transformer}, call: mcp, reaches: map[string]string{transformerHeader: transformerValue}},
		{name: "peer-topdown", chain: []*plugin{topdown}, call: mcp, reaches: untouched},
	}
}

// chainRow is an allowed tools/call through both plugins, and recordedRow the same
// with its decision recorded.
const (
	chainRow    = "chain-mcp"
	recordedRow = chainRow + "+records"
)

// The peer's one header edit.
const (
	transformerHeader = "x-bench"
	transformerValue  = "edited"
	transformerConfig = `{"reqRules":[{"operate":"add","headers":[{"key":"` + transformerHeader + `","value":"` + transformerValue + `"}]}]}`
)

// pick keeps the rows that are asked for; nil asks for all.
func pick(rows []row, wanted map[string]bool) ([]row, error) {
	if wanted == nil {
		return rows, nil
	}
	for name := range wanted {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.name == name }) {
			return nil, fmt.Errorf("no row %q", name)
		}
	}
	return slices.DeleteFunc(rows, func(r row) bool { return !wanted[r.name] }), nil
}
