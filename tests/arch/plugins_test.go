package arch

import (
	"slices"
	"testing"
)

// banned is what nothing that runs inside a gateway may link, however deep.
var banned = []struct{ path, reason string }{
	{"net/http", "a plugin reaches the network through its host only, and the package is megabytes of wasm"},
	{"os/exec", "a plugin starts no process"},
	{"crypto/tls", "a plugin opens no connection"},
	{"database/sql", "a plugin keeps no database"},
	{"encoding/json", "it folds the case of names and takes the last of two equal ones, so policy and upstream could read different requests; use go-json-experiment/json/jsontext"},
	{"github.com/open-policy-agent/opa", "39 MB of wasm; a plugin runs compiled programs with policies/engine"},
	{"github.com/higress-group/wasm-go", "its wrapper lets a panic, an encoded body and a websocket pass"},
}

// nativeOnly are the packages of the two lowest layers that no plugin links.
var nativeOnly = []string{module + "/policies/compile"}

func TestPluginsLinkNothingThatTheyMustNot(t *testing.T) {
	missing := []string{module + "/plugins/gate", module + "/plugins/key-swap"}
	var targets []string
	for _, p := range goList(t, "wasip1", "wasm", "./plugins/...", "./policies/...") {
		if !slices.ContainsFunc(nativeOnly, func(n string) bool { return isUnder(p.ImportPath, n) }) {
			targets = append(targets, p.ImportPath)
		}
		missing = slices.DeleteFunc(missing, func(path string) bool { return path == p.ImportPath && p.Name == "main" })
	}
	if len(missing) > 0 {
		t.Errorf("no plugin at %q: the test looks in the wrong place", missing)
	}
	for _, p := range goList(t, "wasip1", "wasm", targets...) {
		for _, b := range banned {
			if slices.ContainsFunc(p.Deps, func(dep string) bool { return isUnder(dep, b.path) }) {
				t.Errorf("%s links %s in wasm: %s", p.ImportPath, b.path, b.reason)
			}
		}
	}
}
