package chain

import "keyward/plugins/filter"

// Native returns a filter that runs plugin in this process, without wasm. Its
// streams must be driven by one goroutine at a time, as in one VM.
func Native(name string, plugin filter.Plugin) Filter { return &native{name, plugin} }

type native struct {
	name   string
	plugin filter.Plugin
}

func (n *native) Name() string { return n.name }

func (n *native) NewHandler(v *View) filter.Handler {
	return &nativeHandler{Handler: n.plugin.NewStream(v), v: v}
}

// nativeHandler finds what would hang: nothing can resume a native plugin, so a
// hold after the last callback of a side lasts for ever.
type nativeHandler struct {
	filter.Handler
	v *View
}

func (h *nativeHandler) last(a filter.Action, end bool) filter.Action {
	if a == filter.Hold && end && !h.v.Replied() {
		h.v.Fault("holds the end, and nothing will resume it")
	}
	return a
}

func (h *nativeHandler) RequestHeaders(end bool) filter.Action {
	return h.last(h.Handler.RequestHeaders(end), end)
}

func (h *nativeHandler) RequestBody(size int, end bool) filter.Action {
	return h.last(h.Handler.RequestBody(size, end), end)
}

func (h *nativeHandler) RequestTrailers() filter.Action {
	return h.last(h.Handler.RequestTrailers(), true)
}

func (h *nativeHandler) ResponseHeaders(end bool) filter.Action {
	return h.last(h.Handler.ResponseHeaders(end), end)
}

func (h *nativeHandler) ResponseBody(size int, end bool) filter.Action {
	return h.last(h.Handler.ResponseBody(size, end), end)
}

func (h *nativeHandler) ResponseTrailers() filter.Action {
	return h.last(h.Handler.ResponseTrailers(), true)
}
