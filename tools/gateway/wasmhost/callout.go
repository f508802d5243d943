package wasmhost

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"
)

// A CallRequest is a callout of a plugin: an HTTP request to a cluster.
type CallRequest struct {
	Cluster  string
	Headers  [][2]string // with :method, :path and :authority
	Body     []byte
	Trailers [][2]string
	Timeout  time.Duration
}

// A CallResponse is the answer to a callout.
type CallResponse struct {
	Headers  [][2]string // with :status
	Body     []byte
	Trailers [][2]string
}

func (v *vm) proxyHTTPCall(a []uint64) status {
	g := v.effective
	if g == nil {
		v.fault("makes a callout outside of a callback")
		return statusBadArgument
	}
	r, st := v.readCall(a)
	if st != statusOK {
		return st
	}
	h := v.m.w.h
	if h.opt.Call == nil || h.opt.HasCluster == nil || !h.opt.HasCluster(r.Cluster) {
		return statusBadArgument
	}
	for _, name := range []string{":method", ":path", ":authority"} {
		if !slices.ContainsFunc(r.Headers, func(p [2]string) bool { return p[0] == name }) {
			v.fault("makes a callout without " + name)
			return statusBadArgument
		}
	}
	v.nextCall++
	token := v.nextCall
	if st := v.put32(a[9], uint64(token)); st != statusOK {
		return st
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.Timeout)
	if g.calls == nil {
		g.calls = map[uint32]context.CancelFunc{}
	}
	g.calls[token] = cancel
	h.calls.Go(func() {
		defer cancel()
		answer := h.call(ctx, r)
		v.m.w.Do(func() { v.answerCall(g, token, answer) })
	})
	return statusOK
}

func (v *vm) readCall(a []uint64) (CallRequest, status) {
	cluster, ok := v.read(a[0], a[1])
	if !ok {
		return CallRequest{}, statusInvalidMemoryAccess
	}
	headers, st := v.readPairs(a[2], a[3])
	if st != statusOK {
		return CallRequest{}, st
	}
	body, ok := v.read(a[4], a[5])
	if !ok {
		return CallRequest{}, statusInvalidMemoryAccess
	}
	trailers, st := v.readPairs(a[6], a[7])
	if st != statusOK {
		return CallRequest{}, st
	}
	return CallRequest{
		Cluster: string(cluster), Headers: headers, Body: bytes.Clone(body), Trailers: trailers,
		Timeout: time.Duration(a[8]) * time.Millisecond,
	}, statusOK
}

// call makes a callout. A plugin hears of every failure as of an answer.
func (h *Host) call(ctx context.Context, r CallRequest) CallResponse {
	answer, err := h.opt.Call(ctx, r)
	switch {
	case err == nil:
		return answer
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return CallResponse{Headers: [][2]string{{":status", "504"}}}
	}
	return CallResponse{Headers: [][2]string{{":status", "503"}}}
}

// answerCall runs the callback of a callout, unless who made it is gone.
func (v *vm) answerCall(g *guest, token uint32, answer CallResponse) {
	if _, waiting := g.calls[token]; !waiting || v.dead {
		return
	}
	delete(g.calls, token)
	v.answer = &answer
	v.invoke(g.root, "http call response", onHTTPCallResponse, 0,
		uint64(g.root.id), uint64(token), uint64(len(answer.Headers)), uint64(len(answer.Body)), uint64(len(answer.Trailers)))
	v.answer = nil
}
