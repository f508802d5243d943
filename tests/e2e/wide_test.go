package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"keyward/tests/testenv"
	"keyward/tools/wasmlink/link"
)

// TestAWideGateLoadsInBothHosts builds the gate with every builtin, as `make
// plugins BUILTINS=all` does, and asks whether both hosts offer what it imports.
func TestAWideGateLoadsInBothHosts(t *testing.T) {
	testenv.Heavy(t, "the gate with every builtin")
	dir := t.TempDir()
	overlay, file := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "gate.wasm")
	for _, args := range [][]string{
		{"tools/wasmlink/overlay.sh", overlay},
		{"go", "build", "-overlay=" + overlay, "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, "./plugins/gate"},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = testenv.Root(t)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := link.Link(wasm); err != nil {
		t.Error(err)
	}
}
