package wasmhost

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"keyward/plugins/filter"
	"keyward/tools/gateway/chain"
)

// The callbacks by which a VM is entered.
const (
	onContextCreate = iota
	onVMStart
	onConfigure
	onTick
	onHTTPCallResponse
	onRequestHeaders
	onRequestBody
	onRequestTrailers
	onResponseHeaders
	onResponseBody
	onResponseTrailers
	onLog
	onDone
	onDelete
	callbackCount
)

var callbackNames = [callbackCount]string{
	"proxy_on_context_create", "proxy_on_vm_start", "proxy_on_configure", "proxy_on_tick", "proxy_on_http_call_response",
	"proxy_on_request_headers", "proxy_on_request_body", "proxy_on_request_trailers",
	"proxy_on_response_headers", "proxy_on_response_body", "proxy_on_response_trailers",
	"proxy_on_log", "proxy_on_done", "proxy_on_delete",
}

// A vm is one instance of a module. All of it is used under its worker's lock.
type vm struct {
	m      *machine
	ctx    context.Context // leads host calls back here
	module api.Module
	memory api.Memory
	fn     [callbackCount]api.Function // nil: not exported
	alloc  api.Function
	stack  [5]uint64
	heap   [1]uint64 // the stack of alloc, which runs inside other calls
	guests map[uint32]*guest
	nextID uint32
	dead   bool

	// While a callback runs:
	at        string
	calling   *guest // whom the callback is for
	effective *guest // whom host calls are for
	begun     []*guest
	inAlloc   bool
	answer    *CallResponse // in the callback of a callout
	nextCall  uint32
}

type vmKey struct{}

// vmContext is a context that knows its VM.
type vmContext struct {
	context.Context
	vm *vm
}

func (c *vmContext) Value(key any) any {
	if key == (vmKey{}) {
		return c.vm
	}
	return c.Context.Value(key)
}

func newVM(m *machine) (*vm, error) {
	v := &vm{m: m, guests: map[uint32]*guest{}}
	v.ctx = &vmContext{context.Background(), v}
	stderr := &lines{log: func(line string) { m.w.h.log(m.spec.Name, filter.Error, line) }}
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions().WithStderr(stderr).WithStdout(stderr).
		WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime()
	for name, value := range m.spec.Env {
		c = c.WithEnv(name, value)
	}
	module, err := m.w.h.rt.InstantiateModule(v.ctx, m.module.compiled, c)
	if err != nil {
		return nil, fmt.Errorf("instantiate: %w", err)
	}
	v.module, v.memory = module, module.Memory()
	for i, name := range callbackNames {
		v.fn[i] = module.ExportedFunction(name)
	}
	v.alloc = module.ExportedFunction("proxy_on_memory_allocate")
	if _, err := module.ExportedFunction("_initialize").Call(v.ctx); err != nil {
		_ = module.Close(v.ctx)
		return nil, fmt.Errorf("initialize: %w", err)
	}
	return v, nil
}

func (v *vm) add(g *guest) {
	v.nextID++
	g.id = v.nextID
	v.guests[g.id] = g
}

// invoke runs a callback for g. missing is the result of one that the module
// does not export. ok is false when the VM trapped.
func (v *vm) invoke(g *guest, at string, fn int, missing uint64, args ...uint64) (result uint64, ok bool) {
	f := v.fn[fn]
	if f == nil {
		return missing, true
	}
	copy(v.stack[:], args)
	v.at, v.calling, v.effective = at, g, g
	err := f.CallWithStack(v.ctx, v.stack[:])
	result = v.stack[0] & 0xffffffff
	v.at, v.calling, v.effective, v.inAlloc = "", nil, nil, false
	v.m.memory.Store(int64(v.memory.Size()))
	if err != nil {
		v.die(err)
	}
	begun := v.begun
	v.begun = nil
	for _, other := range begun {
		other.view.End()
	}
	return result, err == nil
}

// die marks a VM that trapped. Its streams are denied at their next callback.
func (v *vm) die(err error) {
	if v.dead {
		return
	}
	v.dead = true
	v.m.w.h.stats.traps.Add(1)
	v.m.w.h.log(v.m.spec.Name, filter.Error, "VM died: "+firstLine(err.Error()))
	for _, g := range v.guests {
		if g.root == g {
			g.setTick(0)
		}
		for _, cancel := range g.calls {
			cancel()
		}
		g.calls = nil
	}
	_ = v.module.Close(v.ctx)
}

func (v *vm) close() {
	for _, g := range v.guests {
		if g.root == g {
			g.end()
		}
	}
	v.dead = true
	_ = v.module.Close(v.ctx)
}

// fault records a misuse in what the VM is doing.
func (v *vm) fault(text string) {
	if g := v.effective; g != nil && g.view != nil && g.view.Running() {
		g.view.Fault(text)
		return
	}
	v.faultAt(v.effective, v.at, text)
}

func (v *vm) faultAt(g *guest, at, text string) {
	name := v.m.spec.Name
	if g != nil {
		name = g.seat.name
	}
	v.m.w.h.fault(chain.Fault{Filter: name, At: at, Text: text})
}

func firstLine(s string) string {
	line, _, _ := bytes.Cut([]byte(s), []byte("\n"))
	return string(line)
}

// lines turns what a module prints, a Go panic say, into log lines. Only the
// first ones of a VM are kept: the rest is a stack.
type lines struct {
	mu   sync.Mutex
	log  func(line string)
	part []byte
	n    int
}

const (
	maxLines    = 8
	maxLineSize = 512
)

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range b {
		switch {
		case c != '\n':
			if len(l.part) < maxLineSize {
				l.part = append(l.part, c)
			}
		case len(l.part) > 0:
			if l.n++; l.n <= maxLines {
				l.log(string(l.part))
			}
			l.part = l.part[:0]
		}
	}
	return len(b), nil
}
