package wasmhost

import (
	"fmt"

	"keyward/plugins/filter"
	"keyward/tools/gateway/chain"
)

// A handler is one stream in a VM, for a chain.
type handler struct {
	seat   *seat
	view   *chain.View
	guest  *guest // nil: there was no VM to serve it
	failed bool
}

var _ filter.Handler = (*handler)(nil)

// NewHandler implements [chain.Filter].
func (s *seat) NewHandler(view *chain.View) filter.Handler {
	h := &handler{seat: s, view: view}
	if vm := s.m.usable(); vm != nil {
		if g, ok := vm.newStream(s.root, view); ok {
			h.guest = g
		}
	}
	return h
}

// fail denies the stream, once: the denial itself passes through here.
func (h *handler) fail() filter.Action {
	if h.failed {
		return filter.Continue
	}
	h.failed = true
	h.view.Fail("wasm_fail_stream")
	return filter.Hold
}

// stopAll is an answer to the callback for a request's headers, beside those of
// [filter.Action]: they are held, and what follows them without being shown
// (StopAllIterationAndWatermark).
const stopAll = 4

// call runs a callback. last means that no other follows on its side.
func (h *handler) call(at string, fn int, last bool, args ...uint64) filter.Action {
	if h.guest == nil || h.guest.vm.dead || h.failed {
		return h.fail()
	}
	result, ok := h.guest.vm.invoke(h.guest, at, fn, 0, args...)
	if !ok {
		return h.fail()
	}
	if result == stopAll && fn == onRequestHeaders {
		h.guest.stopped, last, result = true, true, uint64(filter.Hold)
	}
	switch {
	case result == uint64(filter.Continue):
		return filter.Continue
	case result != uint64(filter.Hold):
		h.view.Fault(fmt.Sprintf("returns action %d, which hosts treat differently", int32(result)))
	case last && !h.view.Replied() && !h.guest.waits():
		h.view.Fault("holds the end, and nothing will resume it")
	}
	return filter.Hold
}

func (h *handler) headers(at string, fn int, side filter.Side, end bool) filter.Action {
	a := h.call(at, fn, end, h.id(), uint64(h.view.Map(side).Len()), flag(end))
	m := h.seat.m
	if a == filter.Hold && !end && !h.stopped() && !h.view.Replied() && !holdsHeaders(m.w.h.opt.Persona, m.module.abi) {
		h.view.Fault("holds headers, after which this host calls no body callback")
	}
	return a
}

// stopped reports whether nothing more of the request is shown.
func (h *handler) stopped() bool { return h.guest != nil && h.guest.stopped }

func (h *handler) id() uint64 {
	if h.guest == nil {
		return 0
	}
	return uint64(h.guest.id)
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func (h *handler) RequestHeaders(end bool) filter.Action {
	return h.headers("request headers", onRequestHeaders, filter.Request, end)
}

func (h *handler) RequestBody(size int, end bool) filter.Action {
	if h.stopped() {
		return filter.Hold
	}
	return h.call("request body", onRequestBody, end, h.id(), uint64(size), flag(end))
}

func (h *handler) RequestTrailers() filter.Action {
	if h.stopped() {
		return filter.Hold
	}
	return h.call("request trailers", onRequestTrailers, true, h.id(), uint64(h.view.Map(filter.RequestTrailers).Len()))
}

func (h *handler) ResponseHeaders(end bool) filter.Action {
	return h.headers("response headers", onResponseHeaders, filter.Response, end)
}

func (h *handler) ResponseBody(size int, end bool) filter.Action {
	return h.call("response body", onResponseBody, end, h.id(), uint64(size), flag(end))
}

func (h *handler) ResponseTrailers() filter.Action {
	return h.call("response trailers", onResponseTrailers, true, h.id(), uint64(h.view.Map(filter.ResponseTrailers).Len()))
}

func (h *handler) Done() {
	if h.guest != nil {
		h.guest.end()
	}
}
