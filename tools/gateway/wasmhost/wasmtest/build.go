// Package wasmtest builds plugins for tests.
package wasmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var built sync.Map // folder -> func() ([]byte, error)

// Build compiles the main package in folder to a plugin, once per process.
func Build(tb testing.TB, folder string) []byte {
	tb.Helper()
	folder, err := filepath.Abs(folder)
	if err != nil {
		tb.Fatal(err)
	}
	build, _ := built.LoadOrStore(folder, sync.OnceValues(func() ([]byte, error) { return compile(folder) }))
	code, err := build.(func() ([]byte, error))()
	if err != nil {
		tb.Fatalf("build %s: %v", folder, err)
	}
	return code
}

// CacheDir is a compilation cache that all tests of this machine's user share:
// wazero takes seconds to compile a plugin.
func CacheDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		return tb.TempDir()
	}
	return filepath.Join(dir, "keyward", "wazero-test")
}

func compile(folder string) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "keyward-wasm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	out := filepath.Join(tmp, "plugin.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-o", out, ".")
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}
