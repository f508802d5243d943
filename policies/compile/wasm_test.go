package compile

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"keyward/policies/engine"
)

// A wasmEngine is the engine, every builtin in it, compiled to WebAssembly, linked
// as the plugins are, and run on wazero.
type wasmEngine struct {
	t   testing.TB
	in  io.Writer
	out io.Reader
}

// newWasmEngine builds and starts policies/engine/evaluator. What wazero makes
// of it is kept in the user's cache directory.
func newWasmEngine(t testing.TB) *wasmEngine {
	t.Helper()
	file := filepath.Join(t.TempDir(), "evaluator.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, "keyward/policies/engine/evaluator")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if out, err := exec.Command("go", "run", "keyward/tools/wasmlink", "-flow", "-o", file, file).CombinedOutput(); err != nil {
		t.Fatalf("wasmlink: %v\n%s", err, out)
	}
	binary, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	config := wazero.NewRuntimeConfig()
	if dir, err := os.UserCacheDir(); err == nil {
		cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(dir, "keyward", "wasm-tests"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cache.Close(context.Background()) })
		config = config.WithCompilationCache(cache)
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	t.Cleanup(func() { rt.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	module, err := rt.CompileModule(ctx, binary)
	if err != nil {
		t.Fatal(err)
	}
	stdin, in := io.Pipe()
	out, stdout := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := rt.InstantiateModule(ctx, module, wazero.NewModuleConfig().WithStdin(stdin).WithStdout(stdout).WithStderr(os.Stderr))
		stdout.CloseWithError(fmt.Errorf("the evaluator ended: %v", err))
		stdin.Close()
	}()
	t.Cleanup(func() {
		in.Close()
		out.Close()
		<-done
	})
	return &wasmEngine{t: t, in: in, out: out}
}

// eval runs the first entrypoint of a program. The result is as JSON reads it:
// sets are arrays.
func (w *wasmEngine) eval(program []byte, input engine.Value, strict bool, now int64) (engine.Value, error) {
	return w.within(engine.Limits{Instructions: 50_000_000, Memory: 1 << 28}, program, input, strict, now)
}

// within is eval with limits.
func (w *wasmEngine) within(l engine.Limits, program []byte, input engine.Value, strict bool, now int64) (engine.Value, error) {
	var in []byte
	if !input.IsUndefined() {
		in = programOf(w.t, input)
	}
	request := appendText(appendText(nil, program), in)
	truth := uint64(0)
	if strict {
		truth = 1
	}
	request = binary.LittleEndian.AppendUint64(request, truth)
	for _, n := range []int64{now, int64(l.Instructions), int64(l.Memory), int64(l.Depth), int64(l.Output)} {
		request = binary.LittleEndian.AppendUint64(request, uint64(n))
	}
	if _, err := w.in.Write(request); err != nil {
		w.t.Fatal(err)
	}
	code, message, text := w.text(), w.text(), w.text()
	if code != "" {
		return engine.Value{}, &engine.Error{Code: engine.ErrorCode(code), Message: message}
	}
	if text == "" {
		return engine.Value{}, nil
	}
	return engine.ParseJSON([]byte(text), engine.JSONLimits{Depth: 1000, Values: 1 << 24})
}

func (w *wasmEngine) text() string {
	var n [8]byte
	if _, err := io.ReadFull(w.out, n[:]); err != nil {
		w.t.Fatal(err)
	}
	b := make([]byte, binary.LittleEndian.Uint64(n[:]))
	if _, err := io.ReadFull(w.out, b); err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

func appendText(dst, s []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(dst, uint64(len(s))), s...)
}

// programOf returns a program whose result is v.
func programOf(t testing.TB, v engine.Value) []byte {
	t.Helper()
	image := engine.Image{
		Consts:      []engine.Value{v},
		Data:        engine.Object(nil),
		Funcs:       []engine.Function{{End: 1, Params: 2, Regs: 2}},
		Entrypoints: []engine.EntrypointRef{{Name: "v"}},
		Code:        []engine.Instr{{Op: engine.OpReturn, A: ^0}},
		Locs:        []engine.Loc{{}},
	}
	b, err := image.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
