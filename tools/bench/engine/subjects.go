package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"keyward/policies/compile"
	"keyward/policies/engine"
	"keyward/tools/wasmlink/link"
)

var errVerdict = errors.New("the policy does not allow the request")

// opa returns a function that decides about an input with OPA's topdown.
func opa(ctx context.Context, c policyCase, entrypoints []string) (func(ast.Value) error, error) {
	var query []string
	for i, name := range entrypoints {
		query = append(query, fmt.Sprintf("x%d = data.%s", i, strings.ReplaceAll(name, "/", ".")))
	}
	opts := []func(*rego.Rego){rego.Query(strings.Join(query, "; ")), rego.Module("policy.rego", c.policy)}
	if c.data != nil {
		opts = append(opts, rego.Store(inmem.NewFromObject(c.data)))
	}
	q, err := rego.New(opts...).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	return func(input ast.Value) error {
		rs, err := q.Eval(ctx, rego.EvalParsedInput(input), rego.EvalTime(time.Unix(0, 1)))
		if err != nil {
			return err
		}
		if len(rs) != 1 || rs[0].Bindings["x0"] != true {
			return errVerdict
		}
		return nil
	}, nil
}

func opaInput(text string) (ast.Value, error) {
	var x any
	if err := util.UnmarshalJSON([]byte(text), &x); err != nil {
		return nil, err
	}
	return ast.InterfaceToValue(x)
}

// native returns a function that decides about an input with the engine.
func native(r *compile.Result) (func(engine.Value) error, error) {
	prog, err := engine.Load(r.Program)
	if err != nil {
		return nil, err
	}
	points := make([]engine.Entrypoint, len(r.Entrypoints))
	for i, name := range r.Entrypoints {
		points[i], _ = prog.Entrypoint(name)
	}
	vm := prog.NewVM(engine.Limits{})
	return func(input engine.Value) error {
		vm.Begin(input, 1)
		for i, e := range points {
			v, err := vm.Eval(e)
			if err != nil {
				return err
			}
			if truth, _ := v.Bool(); i == 0 && !truth {
				return errVerdict
			}
		}
		return nil
	}, nil
}

// A guest is the engine in WebAssembly.
type guest struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

func newGuest(ctx context.Context) (*guest, error) {
	dir, err := os.MkdirTemp("", "keyward-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := dir + "/guest.wasm"
	build := exec.CommandContext(ctx, "go", "build", "-buildmode=c-shared", "-o", file, "keyward/tools/bench/engine/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("guest: %w\n%s", err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	// What the plugins' code goes through as well (make plugins).
	if wasm, err = link.Restructure(wasm); err != nil {
		return nil, fmt.Errorf("guest: %w", err)
	}
	g := &guest{runtime: wazero.NewRuntime(ctx)}
	wasi_snapshot_preview1.MustInstantiate(ctx, g.runtime)
	g.module, err = g.runtime.CompileModule(ctx, wasm)
	return g, err
}

// decide returns a function that decides n times about an input, which is parsed
// each time, and how long loading the program took.
func (g *guest) decide(ctx context.Context, program []byte, input string) (run func(n int) error, load time.Duration, err error) {
	m, err := g.runtime.InstantiateModule(ctx, g.module, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return nil, 0, err
	}
	if err := write(ctx, m, program); err != nil {
		return nil, 0, err
	}
	start := time.Now()
	if ok, err := m.ExportedFunction("load").Call(ctx); err != nil || ok[0] == 0 {
		return nil, 0, fmt.Errorf("guest does not load the program: %w", err)
	}
	load = time.Since(start)
	if err := write(ctx, m, []byte(input)); err != nil {
		return nil, 0, err
	}
	eval := m.ExportedFunction("eval")
	return func(n int) error {
		got, err := eval.Call(ctx, uint64(n))
		if err == nil && got[0] != 1 {
			err = errVerdict
		}
		return err
	}, load, nil
}

// loaded is decide, with the median of several loads, each in a new module.
func (g *guest) loaded(ctx context.Context, program []byte, input string) (run func(n int) error, load time.Duration, err error) {
	took := make([]time.Duration, 9)
	for i := range took {
		if run, took[i], err = g.decide(ctx, program, input); err != nil {
			return nil, 0, err
		}
	}
	slices.Sort(took)
	return run, took[len(took)/2], nil
}

func write(ctx context.Context, m api.Module, b []byte) error {
	at, err := m.ExportedFunction("reserve").Call(ctx, uint64(len(b)))
	if err != nil {
		return err
	}
	if !m.Memory().Write(uint32(at[0]), b) {
		return errors.New("guest: out of memory")
	}
	return nil
}
