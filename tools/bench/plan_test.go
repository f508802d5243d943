package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestBodiesAreOfOneSize(t *testing.T) {
	for name, body := range map[string]string{"tools/call": mcpBody, "chat": llmBody, "answer": answerBody} {
		full := padded(body)
		if len(full) != bodyBytes {
			t.Errorf("%s has %d bytes, want %d", name, len(full), bodyBytes)
		}
		if !json.Valid([]byte(full)) {
			t.Errorf("%s is not JSON: %s", name, full)
		}
	}
}

func TestPick(t *testing.T) {
	rows := func() []row { return []row{{name: "none"}, {name: "floor"}, {name: "gate"}} }
	if got, err := pick(rows(), nil); err != nil || len(got) != 3 {
		t.Errorf("all: %v, %v", got, err)
	}
	got, err := pick(rows(), map[string]bool{"none": true, "gate": true})
	if err != nil || len(got) != 2 || got[1].name != "gate" {
		t.Errorf("two: %v, %v", got, err)
	}
	if _, err := pick(rows(), map[string]bool{"gat": true}); err == nil || !strings.Contains(err.Error(), `"gat"`) {
		t.Errorf("an unknown row: error = %v", err)
	}
}

func TestBootstrapHasTheChainInOrder(t *testing.T) {
	b := bootstrap{
		name: "x", listen: "127.0.0.1:1", upstream: "127.0.0.1:2", workers: 1,
		chain: []*plugin{{name: "first", wasm: "a.wasm", config: "{}", env: []string{"KEYS"}, holds: true}, {name: "second", wasm: "b.wasm"}},
	}
	raw, err := b.render()
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) int { return strings.Index(string(raw), s) }
	if order := []int{at(`"a.wasm"`), at(`"b.wasm"`), at("router.v3")}; !slices.IsSorted(order) || order[0] < 0 {
		t.Errorf("filters are at %v in %s", order, raw)
	}
	if strings.Count(string(raw), `"host_env_keys":["KEYS"]`) != 1 {
		t.Errorf("the environment is not one plugin's alone: %s", raw)
	}
}

func TestBootstrapRefusesAnAddressWithoutPort(t *testing.T) {
	if _, err := (bootstrap{listen: "127.0.0.1", upstream: "127.0.0.1:2"}).render(); err == nil {
		t.Error("no error")
	}
}
