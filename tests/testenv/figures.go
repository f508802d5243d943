package testenv

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// AddFigures adds numbers to those of a file in dist, such as "probes.json".
// Several processes may do so at once.
func AddFigures(t testing.TB, name string, figures map[string]int) {
	t.Helper()
	addFigures(t, filepath.Join(Root(t), "dist", name), figures)
}

func addFigures(t testing.TB, path string, figures map[string]int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	defer lock(t, path+".lock")()
	all := map[string]int{}
	if b, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(b, &all) // what is not JSON is written anew
	}
	for k, v := range figures {
		all[k] = v
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
