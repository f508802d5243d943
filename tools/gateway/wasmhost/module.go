package wasmhost

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// A module is compiled code that this host can run.
type module struct {
	sum      [32]byte
	abi      string // the export that names its version
	compiled wazero.CompiledModule
}

// callbacks are the exports that a host calls, with the number of their
// parameters and results, all of them i32.
var callbacks = map[string][2]int{
	"_initialize":                 {0, 0},
	"proxy_on_memory_allocate":    {1, 1},
	"proxy_on_context_create":     {2, 0},
	"proxy_on_vm_start":           {2, 1},
	"proxy_on_configure":          {2, 1},
	"proxy_on_tick":               {1, 0},
	"proxy_on_http_call_response": {5, 0},
	"proxy_on_request_headers":    {3, 1},
	"proxy_on_request_body":       {3, 1},
	"proxy_on_request_trailers":   {2, 1},
	"proxy_on_response_headers":   {3, 1},
	"proxy_on_response_body":      {3, 1},
	"proxy_on_response_trailers":  {2, 1},
	"proxy_on_log":                {1, 0},
	"proxy_on_done":               {1, 1},
	"proxy_on_delete":             {1, 0},
}

// required are the callbacks without which a plugin can't run or would leak.
var required = []string{"_initialize", "proxy_on_memory_allocate", "proxy_on_context_create", "proxy_on_delete"}

func (h *Host) compile(ctx context.Context, code []byte) (*module, error) {
	sum := sha256.Sum256(code)
	if m := h.modules[sum]; m != nil {
		return m, nil
	}
	abi, err := findABI(code, h.opt.Persona)
	if err != nil {
		return nil, err
	}
	// A module is some thousand functions, which can be compiled side by side.
	compiled, err := h.rt.CompileModule(experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0)), code)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	if err := checkModule(compiled); err != nil {
		return nil, err
	}
	m := &module{sum, abi, compiled}
	h.modules[sum] = m
	return m, nil
}

func findABI(code []byte, p Persona) (string, error) {
	names, err := exportNames(code)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		if slices.Contains(abiExports[p], name) {
			return name, nil
		}
	}
	return "", fmt.Errorf("no export names an ABI version that %s knows: %v", p, abiExports[p])
}

func checkModule(m wazero.CompiledModule) error {
	for _, f := range m.ImportedFunctions() {
		from, name, _ := f.Import()
		if from != "env" {
			continue // WASI is checked when the module is instantiated
		}
		i := slices.IndexFunc(hostCalls, func(c hostCall) bool { return c.name == name })
		if i < 0 {
			return fmt.Errorf("imports %q, which this host does not offer", name)
		}
		if !slices.Equal(f.ParamTypes(), hostCalls[i].params()) || !slices.Equal(f.ResultTypes(), []api.ValueType{api.ValueTypeI32}) {
			return fmt.Errorf("imports %q with another signature", name)
		}
	}
	exports := m.ExportedFunctions()
	for _, name := range required {
		if exports[name] == nil {
			return fmt.Errorf("does not export %q", name)
		}
	}
	for name, f := range exports {
		c, ok := callbacks[name]
		if ok && (!allI32(f.ParamTypes(), c[0]) || !allI32(f.ResultTypes(), c[1])) {
			return fmt.Errorf("exports %q with another signature", name)
		}
	}
	return nil
}

func allI32(types []api.ValueType, n int) bool {
	return len(types) == n && !slices.ContainsFunc(types, func(t api.ValueType) bool { return t != api.ValueTypeI32 })
}
