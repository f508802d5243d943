package link

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

const root = "../../.." // of the repository

// build compiles a plugin from a copy of its sources in a folder of its own.
func build(t *testing.T, folder string) []byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), folder)
	if err := os.CopyFS(filepath.Join(dir, "plugin"), os.DirFS("testdata/plugin")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "plugin.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build",
		"-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "./plugin")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, msg)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

func TestARealPluginIsTheSameFromEveryFolder(t *testing.T) {
	one, err := Link(build(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Link(build(t, "a-longer-name/one-level-deeper"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, other) {
		t.Error("two builds of the same sources differ")
	}
	t.Run("and a WebAssembly runtime accepts it", func(t *testing.T) {
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
		defer r.Close(ctx)
		compiled, err := r.CompileModule(ctx, one)
		if err != nil {
			t.Fatal(err)
		}
		if compiled.ExportedFunctions()[envoyABI] == nil {
			t.Errorf("%s is not exported", envoyABI)
		}
	})
	t.Run("and a damaged copy never makes the reader panic", func(t *testing.T) {
		for i := 0; i < len(one); i += len(one)/500 + 1 {
			damaged := bytes.Clone(one[:len(one)-i])
			damaged[len(damaged)/2] ^= 0x55
			_, _ = Link(damaged)
		}
	})
	t.Run("and its interface has what both hosts know", func(t *testing.T) {
		face, err := Read(one)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{
			"import wasi_snapshot_preview1.fd_write (i32, i32, i32, i32) i32\n",
			"export " + envoyABI + " ()\n", "export " + higressABI + " ()\n",
		} {
			if !strings.Contains(face.String(), line) {
				t.Errorf("interface lacks %q:\n%s", line, face)
			}
		}
	})
}
