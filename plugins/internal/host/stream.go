package host

import (
	"errors"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"

	"keyward/plugins/filter"
)

// stream is the stream whose callback is running; the SDK keeps track of which.
// Cut alone needs its context's ID.
type stream struct {
	id uint32
	m  *machine
}

var (
	_ filter.Stream = stream{}
	_ filter.Cutter = stream{}
)

func (stream) Headers(side filter.Side) ([][2]string, error) {
	switch side {
	case filter.Request:
		return found(proxywasm.GetHttpRequestHeaders())
	case filter.Response:
		return found(proxywasm.GetHttpResponseHeaders())
	case filter.RequestTrailers:
		return found(proxywasm.GetHttpRequestTrailers())
	default:
		return found(proxywasm.GetHttpResponseTrailers())
	}
}

func (stream) SetHeader(side filter.Side, name, value string) error {
	switch side {
	case filter.Request:
		return proxywasm.ReplaceHttpRequestHeader(name, value)
	case filter.Response:
		return proxywasm.ReplaceHttpResponseHeader(name, value)
	case filter.RequestTrailers:
		return proxywasm.ReplaceHttpRequestTrailer(name, value)
	default:
		return proxywasm.ReplaceHttpResponseTrailer(name, value)
	}
}

func (stream) AddHeader(side filter.Side, name, value string) error {
	switch side {
	case filter.Request:
		return proxywasm.AddHttpRequestHeader(name, value)
	case filter.Response:
		return proxywasm.AddHttpResponseHeader(name, value)
	case filter.RequestTrailers:
		return proxywasm.AddHttpRequestTrailer(name, value)
	default:
		return proxywasm.AddHttpResponseTrailer(name, value)
	}
}

func (stream) RemoveHeader(side filter.Side, name string) error {
	switch side {
	case filter.Request:
		return proxywasm.RemoveHttpRequestHeader(name)
	case filter.Response:
		return proxywasm.RemoveHttpResponseHeader(name)
	case filter.RequestTrailers:
		return proxywasm.RemoveHttpRequestTrailer(name)
	default:
		return proxywasm.RemoveHttpResponseTrailer(name)
	}
}

func (stream) Body(side filter.Side, limit int) ([]byte, error) {
	if side == filter.Request {
		return found(proxywasm.GetHttpRequestBody(0, limit))
	}
	return found(proxywasm.GetHttpResponseBody(0, limit))
}

func (stream) ReplaceBody(side filter.Side, body []byte) error {
	if side == filter.Request {
		return proxywasm.ReplaceHttpRequestBody(body)
	}
	return proxywasm.ReplaceHttpResponseBody(body)
}

// Property reads the names of the route and the cluster below "xds" first: Envoy
// has them there alone, older forks of Higress at the top.
func (stream) Property(path ...string) ([]byte, error) {
	if len(path) == 1 && (path[0] == "route_name" || path[0] == "cluster_name") {
		if b, err := proxywasm.GetProperty([]string{"xds", path[0]}); err == nil {
			return b, nil
		}
	}
	return found(proxywasm.GetProperty(path))
}

func (stream) SetProperty(name string, value []byte) error {
	return proxywasm.SetProperty([]string{name}, value)
}

func (stream) Reply(r filter.Reply) error {
	const notGRPC = -1
	return proxywasm.SendHttpResponseWithDetail(uint32(r.Status), r.Detail, r.Headers, r.Body, notGRPC)
}

// Cut replies as any stream does: a host resets one whose response has begun.
// Then the context whose tick runs is the current one again.
func (s stream) Cut(r filter.Reply) error {
	if err := proxywasm.SetEffectiveContext(s.id); err != nil {
		return err
	}
	err := s.Reply(r)
	if back := proxywasm.SetEffectiveContext(s.m.root); err == nil {
		err = back
	}
	return err
}

// found turns the SDK's "not found" into the filter's.
func found[T any](v T, err error) (T, error) {
	if errors.Is(err, types.ErrorStatusNotFound) {
		return v, filter.ErrNotFound
	}
	return v, err
}
