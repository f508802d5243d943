package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"keyward/plugins/filter"
	"keyward/tools/gateway/chain"
	"keyward/tools/gateway/wasmhost"
)

// pieceSize is how much of a body is read at once.
const pieceSize = 32 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// An exchange is one request on its way. Three goroutines move it: the handler
// sends to the client, one reads the request's body, one talks to the upstream.
// They meet in the stream, under the worker's lock.
type exchange struct {
	g        *Gateway
	worker   *wasmhost.Worker
	request  *http.Request
	route    *route // nil: none
	stream   *chain.Stream
	up, down *queue
	received atomic.Int64 // bytes of the request's body
	bodyRead atomic.Bool  // to its end
	status   int
	sent     int64
	started  time.Time
}

// serve takes a request through the chain.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	g.open.Add(1)
	defer g.open.Done()
	g.metrics.open.Inc()
	defer g.metrics.open.Dec()
	e := &exchange{g: g, worker: worker(r.Context()), request: r, up: newQueue(), down: newQueue(), started: time.Now()}
	h := requestHeaders(r)
	e.route = g.router.find(value(h, ":authority"), value(h, ":path"))
	e.stream = chain.New(chain.Options{
		Filters: e.worker.Filters(), Upstream: e.up, Client: e.down,
		BufferLimit: g.config.Limits.BufferBytes, Property: e.property, Fault: g.fault,
	})
	cut := e.run(w, h)
	g.done(e)
	if cut {
		panic(http.ErrAbortHandler) // the server cuts the connection or resets the stream
	}
}

// run moves the exchange until the client has all that it will get. It reports
// whether the client's side was cut.
func (e *exchange) run(w http.ResponseWriter, h *chain.Headers) (cut bool) {
	ctx, cancel := context.WithCancel(e.request.Context())
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // HTTP/2 has it anyway

	var wg sync.WaitGroup
	end := e.request.Body == http.NoBody || e.request.ContentLength == 0
	var answered bool
	e.worker.Do(func() {
		e.stream.RequestHeaders(h, end)
		answered = e.stream.Done()
	})
	wg.Go(func() { e.talk(ctx) })
	reading := !end && !answered // else a client that expects 100 would be asked for its body
	if reading {
		wg.Go(func() { e.read(ctx, control) })
	}
	cut = !e.answer(ctx, w, control)

	cancel()
	if reading && !e.bodyRead.Load() {
		_ = control.SetReadDeadline(time.Unix(1, 0)) // wakes who still reads the body
	}
	wg.Wait()
	if !cut && !end && !e.bodyRead.Load() {
		e.drain(control)
	}
	e.worker.Do(e.stream.Close)
	return cut
}

// read passes the request's body to the chain.
func (e *exchange) read(ctx context.Context, control *http.ResponseController) {
	_ = control.SetReadDeadline(e.started.Add(e.g.config.Limits.BodyTimeout))
	buf := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(buf)
	for {
		n, err := e.request.Body.Read(buf[:])
		e.received.Add(int64(n))
		if n > 0 {
			piece := bytes.Clone(buf[:n])
			e.worker.Do(func() { e.stream.RequestBody(piece, false) })
		}
		switch {
		case errors.Is(err, io.EOF):
			e.bodyRead.Store(true)
			_ = control.SetReadDeadline(time.Time{}) // the server goes on reading, to see a client leave
			e.worker.Do(e.endRequest)
			return
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil:
			e.worker.Do(func() {
				e.stream.Reply(problem(http.StatusRequestTimeout, "request_timeout", "The request's body did not arrive in time."))
			})
			return
		case err != nil:
			e.worker.Do(e.stream.Reset)
			return
		}
		e.up.room(ctx)
	}
}

// What is taken of a body after its request was answered.
const (
	drainBytes   = 256 << 10
	drainTimeout = 500 * time.Millisecond
)

// drain takes what a client still sends after it was answered: closing a
// connection with bytes unread resets it, and the client may never see why.
func (e *exchange) drain(control *http.ResponseController) {
	if e.request.ProtoMajor >= 2 {
		return // a stream ends without the others
	}
	_ = control.Flush()
	_ = control.SetReadDeadline(time.Now().Add(drainTimeout))
	if _, err := io.CopyN(io.Discard, e.request.Body, drainBytes); errors.Is(err, io.EOF) {
		_ = control.SetReadDeadline(time.Time{}) // the connection can be used again
	}
}

func (e *exchange) endRequest() {
	// Envoy drops the trailers of HTTP/1.1.
	if e.request.ProtoMajor >= 2 {
		if t := trailers(e.request.Trailer); t != nil {
			e.stream.RequestTrailers(t)
			return
		}
	}
	e.stream.RequestBody(nil, true)
}

// talk sends what comes out of the chain to the upstream, and passes its answer
// to the chain.
func (e *exchange) talk(ctx context.Context) {
	first, ok := e.up.next(ctx)
	if !ok {
		return
	}
	if e.route == nil {
		e.reply(problem(http.StatusNotFound, "route_not_found", "No route leads there."))
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(time.Hour, cancel)
	timer.Stop()
	if e.route.timeout > 0 {
		timer.Reset(e.route.timeout)
	}
	r, err := e.upstreamRequest(ctx, first)
	if err != nil {
		e.reply(problem(http.StatusBadGateway, "request_refused", "The request can't be sent to the upstream."))
		return
	}
	resp, err := e.route.cluster.transport.RoundTrip(r)
	inTime := timer.Stop() || e.route.timeout == 0
	switch {
	case err == nil:
		defer resp.Body.Close()
		e.pass(ctx, resp)
	case !inTime:
		e.reply(problem(http.StatusGatewayTimeout, "upstream_timeout", "The upstream did not answer in time."))
	case !errors.Is(err, errCut):
		e.g.log.Warn("upstream failed", "cluster", e.route.cluster.Name, "error", err.Error())
		e.reply(problem(http.StatusServiceUnavailable, "upstream_unavailable", "The upstream can't be reached."))
	}
}

func (e *exchange) reply(r filter.Reply) { e.worker.Do(func() { e.stream.Reply(r) }) }

// upstreamRequest builds the request to the upstream. Trailers go along when
// they are known by now, as they are for a request that was held for them.
func (e *exchange) upstreamRequest(ctx context.Context, first item) (*http.Request, error) {
	h, rt := first.headers, e.route
	authority := value(h, ":authority")
	if rt.HostRewrite != "" {
		authority = rt.HostRewrite
	}
	r, err := rt.cluster.request(ctx, h, rt.rewrite(value(h, ":path")), authority)
	if err != nil || first.end {
		return r, err
	}
	r.ContentLength = contentLength(h)
	if t := e.up.last(); t != nil && rt.cluster.HTTP2 {
		r.Trailer = http.Header{}
		putFields(r.Trailer, t)
		r.ContentLength = -1
	}
	r.Body = &bodyReader{ctx: ctx, q: e.up}
	return r, nil
}

// pass passes the upstream's answer to the chain.
func (e *exchange) pass(ctx context.Context, resp *http.Response) {
	stop := context.AfterFunc(ctx, func() { resp.Body.Close() })
	defer stop()
	end := resp.Body == http.NoBody || resp.ContentLength == 0 || e.request.Method == http.MethodHead
	e.worker.Do(func() { e.stream.ResponseHeaders(responseHeaders(resp), end) })
	buf := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(buf)
	for !end {
		n, err := resp.Body.Read(buf[:])
		if n > 0 {
			piece := bytes.Clone(buf[:n])
			e.worker.Do(func() { e.stream.ResponseBody(piece, false) })
		}
		if errors.Is(err, io.EOF) {
			e.worker.Do(func() {
				if t := trailers(resp.Trailer); t != nil && resp.ProtoMajor >= 2 {
					e.stream.ResponseTrailers(t)
					return
				}
				e.stream.ResponseBody(nil, true)
			})
			return
		}
		if err != nil {
			e.worker.Do(e.stream.Reset)
			return
		}
		e.down.room(ctx)
	}
}

// answer sends what comes out of the chain to the client. whole is false when
// the client's side is to be cut.
func (e *exchange) answer(ctx context.Context, w http.ResponseWriter, control *http.ResponseController) (whole bool) {
	for {
		i, ok := e.down.next(ctx)
		if !ok {
			return false
		}
		switch {
		case i.headers != nil:
			e.status, _ = strconv.Atoi(value(i.headers, ":status"))
			putFields(w.Header(), i.headers)
			if _, typed := w.Header()["Content-Type"]; !typed {
				w.Header()["Content-Type"] = nil // keeps the server from guessing one
			}
			w.WriteHeader(e.status)
		case i.trailers != nil:
			for _, p := range i.trailers.Pairs() {
				w.Header().Add(http.TrailerPrefix+http.CanonicalHeaderKey(p[0]), p[1])
			}
		case len(i.body) > 0 && e.request.Method != http.MethodHead:
			n, err := w.Write(i.body)
			e.sent += int64(n)
			if err != nil {
				return false
			}
		}
		if i.end {
			return true
		}
		if e.down.empty() && control.Flush() != nil {
			return false
		}
	}
}
