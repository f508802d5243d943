package host

import (
	"errors"

	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm"
	"github.com/higress-group/proxy-wasm-go-sdk/proxywasm/types"

	"keyward/plugins/filter"
)

// stream is the stream whose callback is running; the SDK keeps track of which.
type stream struct{}

var _ filter.Stream = stream{}

func (stream) Headers(side filter.Side) ([][2]string, error) {
	if side == filter.Request {
		return found(proxywasm.GetHttpRequestHeaders())
	}
	return found(proxywasm.GetHttpResponseHeaders())
}

func (stream) SetHeader(side filter.Side, name, value string) error {
	if side == filter.Request {
		return proxywasm.ReplaceHttpRequestHeader(name, value)
	}
	return proxywasm.ReplaceHttpResponseHeader(name, value)
}

func (stream) RemoveHeader(side filter.Side, name string) error {
	if side == filter.Request {
		return proxywasm.RemoveHttpRequestHeader(name)
	}
	return proxywasm.RemoveHttpResponseHeader(name)
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

func (stream) Property(path ...string) ([]byte, error) {
	return found(proxywasm.GetProperty(path))
}

func (stream) SetProperty(name string, value []byte) error {
	return proxywasm.SetProperty([]string{name}, value)
}

func (stream) Reply(r filter.Reply) error {
	const notGRPC = -1
	return proxywasm.SendHttpResponseWithDetail(uint32(r.Status), r.Detail, r.Headers, r.Body, notGRPC)
}

// found turns the SDK's "not found" into the filter's.
func found[T any](v T, err error) (T, error) {
	if errors.Is(err, types.ErrorStatusNotFound) {
		return v, filter.ErrNotFound
	}
	return v, err
}
