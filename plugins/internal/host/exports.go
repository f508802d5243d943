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

// The answers to a callback. For headers, hold is StopIteration, which holds them
// and still shows the body; stop is StopAllIterationAndWatermark, after which
// nothing more of the request is shown.
const (
	goOn = 0
	hold = 1
	stop = 4
)

func action(a filter.Action) uint32 {
	if a == filter.Continue {
		return goOn
	}
	return hold
}

// bodies says that the plugin is shown request bodies and trailers.
var bodies bool

// ShowBodies is for package body alone.
func ShowBodies() { bodies = true }

// proxyOnRequestHeaders stops a request of a plugin that is shown no bodies: held
// in the lesser way it would go on with its body, past the plugin.
//
//go:wasmexport proxy_on_request_headers
func proxyOnRequestHeaders(id, _ uint32, end bool) uint32 {
	callback()
	a := filter.Hold
	if s := vm.streams.get(id); s != nil {
		a = s.handler.RequestHeaders(end)
	}
	if a != filter.Continue && !bodies {
		return stop
	}
	return action(a)
}

// RequestBody is a callback; see package body.
func RequestBody(id, size uint32, end bool) uint32 {
	callback()
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.RequestBody(int(size), end))
	}
	return hold
}

// RequestTrailers is a callback; see package body.
func RequestTrailers(id uint32) uint32 {
	callback()
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.RequestTrailers())
	}
	return hold
}

//go:wasmexport proxy_on_response_headers
func proxyOnResponseHeaders(id, _ uint32, end bool) uint32 {
	callback()
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.ResponseHeaders(end))
	}
	return hold
}

//go:wasmexport proxy_on_response_body
func proxyOnResponseBody(id, size uint32, end bool) uint32 {
	callback()
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.ResponseBody(int(size), end))
	}
	return hold
}

//go:wasmexport proxy_on_response_trailers
func proxyOnResponseTrailers(id, _ uint32) uint32 {
	callback()
	if s := vm.streams.get(id); s != nil {
		return action(s.handler.ResponseTrailers())
	}
	return hold
}

// ended counts streams.
var ended uint32

// proxyOnDelete is the last that a stream or a plugin is told. Hosts would call
// proxy_on_log and proxy_on_done just before it, and skip what is not exported:
// two calls less for every request.
//
// Every so many streams it lets the runtime's own goroutines run, as no callback
// ever waits. Without that a garbage collection can stay unfinished for good, and
// memory grow: once its share of the CPU has been too large, as after a second in
// which the machine stood still, callbacks stop helping it along.
//
//go:wasmexport proxy_on_delete
func proxyOnDelete(id uint32) {
	const often = 32
	if s := vm.streams.remove(id); s != nil {
		s.handler.Done()
		if ended++; ended%often == 0 {
			runtime.Gosched()
		}
	} else if c := vm.contexts[id]; c != nil {
		delete(vm.contexts, id)
		c.end()
	}
}
