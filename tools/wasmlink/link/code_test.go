package link

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// compile builds a program of testdata for a WebAssembly runtime.
func compile(t *testing.T, name string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), name+".wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./testdata/"+name)
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

// output runs a program.
func output(t *testing.T, wasm []byte) string {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	var out bytes.Buffer
	_, err := r.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStdout(&out).WithStderr(&out).WithSysWalltime().WithSysNanotime())
	if out.Len() == 0 {
		t.Fatalf("it prints nothing and ends with %v", err)
	}
	return out.String()
}

func TestAProgramWithItsControlFlowBackDoesTheSame(t *testing.T) {
	for _, name := range []string{"flow", "recover"} {
		t.Run(name, func(t *testing.T) {
			wasm := compile(t, name)
			m, err := parse(wasm)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.restructure(); err != nil {
				t.Fatal(err)
			}
			was, is := len(code(t, wasm)), bytes.Clone(header)
			for _, s := range m.sections {
				is = append(is, s.raw...)
			}
			// A function that is not of the known form stays, and Go's form may change.
			if now := len(code(t, is)); now > was*98/100 {
				t.Errorf("%d bytes of code became %d: most functions stayed as they were", was, now)
			}
			if got, want := output(t, is), output(t, wasm); got != want {
				t.Errorf("it prints %s, and did %s", got, want)
			}
		})
	}
}

// code is the code section of a module.
func code(t *testing.T, wasm []byte) []byte {
	t.Helper()
	m, err := parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.sections {
		if s.id == codeSection {
			return s.raw
		}
	}
	t.Fatal("a module without code")
	return nil
}
