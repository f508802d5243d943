package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Plugins builds gate.wasm and key-swap.wasm the way the repository builds them
// and returns their folder. Test processes take turns; make does nothing where
// nothing changed.
func Plugins(t testing.TB) string {
	t.Helper()
	root := Root(t)
	make := needProgram(t, "make")
	dist := filepath.Join(root, "dist")
	if err := os.MkdirAll(dist, 0o755); err != nil {
		t.Fatal(err)
	}
	defer lock(t, filepath.Join(dist, ".lock"))()
	cmd := exec.CommandContext(t.Context(), make, "--no-print-directory", "plugins")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make plugins: %v\n%s", err, out)
	}
	return dist
}
