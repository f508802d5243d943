package wasmhost

import (
	"context"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// A hostCall is one function that plugins may import from "env". All of them
// return a status.
type hostCall struct {
	name string
	sig  string // parameters: i for i32, I for i64
	call func(v *vm, args []uint64) status
}

func (c hostCall) params() []api.ValueType {
	types := make([]api.ValueType, len(c.sig))
	for i := range c.sig {
		types[i] = api.ValueTypeI32
		if c.sig[i] == 'I' {
			types[i] = api.ValueTypeI64
		}
	}
	return types
}

// hostCalls are all that is offered: what both Higress and Envoy offer, and
// Keyward's plugins may need.
var hostCalls = []hostCall{
	{"proxy_log", "iii", (*vm).proxyLog},
	{"proxy_get_log_level", "i", (*vm).proxyGetLogLevel},
	{"proxy_get_current_time_nanoseconds", "i", (*vm).proxyGetCurrentTime},
	{"proxy_set_tick_period_milliseconds", "i", (*vm).proxySetTickPeriod},
	{"proxy_set_effective_context", "i", (*vm).proxySetEffectiveContext},
	{"proxy_done", "", (*vm).proxyDone},
	{"proxy_call_foreign_function", "iiiiii", (*vm).proxyCallForeignFunction},

	{"proxy_get_header_map_value", "iiiii", (*vm).proxyGetHeaderMapValue},
	{"proxy_add_header_map_value", "iiiii", (*vm).proxyAddHeaderMapValue},
	{"proxy_replace_header_map_value", "iiiii", (*vm).proxyReplaceHeaderMapValue},
	{"proxy_remove_header_map_value", "iii", (*vm).proxyRemoveHeaderMapValue},
	{"proxy_get_header_map_pairs", "iii", (*vm).proxyGetHeaderMapPairs},
	{"proxy_set_header_map_pairs", "iii", (*vm).proxySetHeaderMapPairs},

	{"proxy_get_buffer_bytes", "iiiii", (*vm).proxyGetBufferBytes},
	{"proxy_set_buffer_bytes", "iiiii", (*vm).proxySetBufferBytes},

	{"proxy_send_local_response", "iiiiiiii", (*vm).proxySendLocalResponse},
	{"proxy_continue_stream", "i", (*vm).proxyContinueStream},
	{"proxy_close_stream", "i", (*vm).proxyCloseStream},

	{"proxy_get_property", "iiii", (*vm).proxyGetProperty},
	{"proxy_set_property", "iiii", (*vm).proxySetProperty},
	{"proxy_get_shared_data", "iiiii", (*vm).proxyGetSharedData},
	{"proxy_set_shared_data", "iiiii", (*vm).proxySetSharedData},

	{"proxy_http_call", "iiiiiiiiii", (*vm).proxyHTTPCall},

	{"proxy_define_metric", "iiii", (*vm).proxyDefineMetric},
	{"proxy_increment_metric", "iI", (*vm).proxyIncrementMetric},
	{"proxy_record_metric", "iI", (*vm).proxyRecordMetric},
	{"proxy_get_metric", "ii", (*vm).proxyGetMetric},
}

func (h *Host) instantiateImports(ctx context.Context) error {
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, h.rt); err != nil {
		return err
	}
	env := h.rt.NewHostModuleBuilder("env")
	for _, c := range hostCalls {
		call := api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
			v := ctx.Value(vmKey{}).(*vm)
			if v.inAlloc {
				v.fault("calls the host while it allocates memory for it, which Envoy answers with a trap")
				stack[0] = uint64(statusInternalFailure)
				return
			}
			for i := range c.sig {
				if c.sig[i] == 'i' {
					stack[i] &= 0xffffffff // the rest of an i32's slot is undefined
				}
			}
			stack[0] = uint64(c.call(v, stack))
		})
		env.NewFunctionBuilder().WithGoModuleFunction(call, c.params(), []api.ValueType{api.ValueTypeI32}).Export(c.name)
	}
	_, err := env.Instantiate(ctx)
	return err
}

// read returns guest memory as it is, not a copy: valid until the VM runs on.
func (v *vm) read(ptr, size uint64) ([]byte, bool) {
	b, ok := v.memory.Read(uint32(ptr), uint32(size))
	if !ok {
		v.fault("passes memory that is not its own")
	}
	return b, ok
}

// text is read as a string that is valid as long, for look-ups.
func (v *vm) text(ptr, size uint64) (string, bool) {
	b, ok := v.read(ptr, size)
	return unsafe.String(unsafe.SliceData(b), len(b)), ok
}

func (v *vm) put32(ptr, value uint64) status {
	if !v.memory.WriteUint32Le(uint32(ptr), uint32(value)) {
		v.fault("passes memory that is not its own")
		return statusInvalidMemoryAccess
	}
	return statusOK
}

func (v *vm) put64(ptr, value uint64) status {
	if !v.memory.WriteUint64Le(uint32(ptr), value) {
		v.fault("passes memory that is not its own")
		return statusInvalidMemoryAccess
	}
	return statusOK
}

// give lets the guest allocate n bytes, stores where they are, and returns them
// to be filled; nil for n 0, of which the guest gets address 0.
func (v *vm) give(n int, ptrOut, sizeOut uint64) ([]byte, status) {
	var ptr uint64
	var b []byte
	if n > 0 {
		v.heap[0] = uint64(n)
		v.inAlloc = true
		err := v.alloc.CallWithStack(v.ctx, v.heap[:])
		v.inAlloc = false
		if err != nil {
			panic(err) // wazero ends the outer call with it
		}
		ptr = v.heap[0] & 0xffffffff
		var ok bool
		if b, ok = v.memory.Read(uint32(ptr), uint32(n)); !ok || ptr == 0 {
			v.fault("allocates memory that is not its own")
			return nil, statusInvalidMemoryAccess
		}
	}
	if st := v.put32(ptrOut, ptr); st != statusOK {
		return nil, st
	}
	return b, v.put32(sizeOut, uint64(n))
}

// giveBytes gives the guest a copy of b.
func (v *vm) giveBytes(b []byte, ptrOut, sizeOut uint64) status {
	dst, st := v.give(len(b), ptrOut, sizeOut)
	copy(dst, b)
	return st
}

func (v *vm) giveString(s string, ptrOut, sizeOut uint64) status {
	dst, st := v.give(len(s), ptrOut, sizeOut)
	copy(dst, s)
	return st
}
