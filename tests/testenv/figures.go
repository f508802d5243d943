package testenv

import (
	"os"
	"path/filepath"
	"testing"

	"keyward/tools/bench/sheet"
)

// AddFigures adds the members of a struct or a map to those of a file in dist, such
// as "probes.json". Several processes may do so at once.
func AddFigures(t testing.TB, name string, figures any) {
	t.Helper()
	addFigures(t, filepath.Join(Root(t), "dist", name), figures)
}

func addFigures(t testing.TB, path string, figures any) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	defer lock(t, path+".lock")()
	if err := sheet.Merge(path, figures); err != nil {
		t.Fatal(err)
	}
}
