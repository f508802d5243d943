//lint:file-ignore U1000 a host calls these; natively nothing does

package host

import (
	"runtime"

	"keyward/plugins/filter"
)

// What a host calls. A number that it has not introduced is none of ours: the
// exchange stays held.

//go:wasmexport proxy_abi_version_0_2_100
func proxyABIVersion() {}

//go:wasmexport proxy_on_memory_allocate
func proxyOnMemoryAllocate(size uint32) *byte { return memory.allocate(size) }

//go:wasmexport proxy_on_vm_start
func proxyOnVMStart(uint32, uint32) uint32 { return 1 }

//go:wasmexport proxy_on_configure
func proxyOnConfigure(id, _ uint32) uint32 {
	if c := vm.contexts[id]; c != nil {
		c.start()
	}
	return 1
}

//go:wasmexport proxy_on_context_create
func proxyOnContextCreate(id, parent uint32) {
	if parent == 0 {
		vm.newContext(id)
	} else if c := vm.contexts[parent]; c != nil {
		vm.newStream(id, c)
	}
}

//go:wasmexport proxy_on_tick
func proxyOnTick(id uint32) {
	if c := vm.contexts[id]; c != nil {
		c.tick()
	}
}

//go:wasmexport proxy_on_http_call_response
func proxyOnHTTPCallResponse(id, token, _, bodySize, _ uint32) {
	if c := vm.contexts[id]; c != nil {
		c.machine.answered(token, int(bodySize))
	}
}

// The answers to a callback for headers or a body, and for one that holds. For
// headers it is StopIteration, which holds them and still shows the body.
const (
	goOn = 0
	hold = 1
)

func action(a filter.Action) uint32 {
	if a == filter.Continue {
		return goOn
	}
	return hold
}

//go:wasmexport proxy_on_request_headers
func proxyOnRequestHeaders(id, _ uint32, end bool) uint32 {
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.RequestHeaders(end))
	}
	return hold
}

//go:wasmexport proxy_on_request_body
func proxyOnRequestBody(id, size uint32, end bool) uint32 {
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.RequestBody(int(size), end))
	}
	return hold
}

//go:wasmexport proxy_on_request_trailers
func proxyOnRequestTrailers(id, _ uint32) uint32 {
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.RequestTrailers())
	}
	return hold
}

//go:wasmexport proxy_on_response_headers
func proxyOnResponseHeaders(id, _ uint32, end bool) uint32 {
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.ResponseHeaders(end))
	}
	return hold
}

//go:wasmexport proxy_on_response_body
func proxyOnResponseBody(id, size uint32, end bool) uint32 {
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.ResponseBody(int(size), end))
	}
	return hold
}

//go:wasmexport proxy_on_response_trailers
func proxyOnResponseTrailers(id, _ uint32) uint32 {
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.ResponseTrailers())
	}
	return hold
}

// ended counts streams.
var ended uint32

// proxyOnLog is the last that a stream is told; proxyOnDone comes to plugins too.
//
// Every so many streams it lets the runtime's own goroutines run, as no callback
// ever waits. Without that a garbage collection can stay unfinished for good, and
// memory grow: once its share of the CPU has been too large, as after a second in
// which the machine stood still, callbacks stop helping it along.
//
//go:wasmexport proxy_on_log
func proxyOnLog(id uint32) {
	const often = 32
	if s := vm.streams.get(id); s != nil {
		s.handler.Done()
		if ended++; ended%often == 0 {
			runtime.Gosched()
		}
	}
}

//go:wasmexport proxy_on_done
func proxyOnDone(id uint32) uint32 {
	if c := vm.contexts[id]; c != nil {
		c.end()
	}
	return 1
}

//go:wasmexport proxy_on_delete
func proxyOnDelete(id uint32) {
	vm.streams.remove(id)
	delete(vm.contexts, id)
}
