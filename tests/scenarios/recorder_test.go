package scenarios_test

import (
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rowHeader tells the recorder which row a request belongs to, so that one that
// comes late is not taken for another's.
const rowHeader = "x-scenario"

// maxRecorded bounds what is kept of a request body, in bytes.
const maxRecorded = 16 << 20

// A Record is what an upstream saw of one request.
type Record struct {
	Cluster  string
	First    time.Time // when the first byte of it came
	URI      string
	Header   http.Header
	Body     []byte
	Trailer  http.Header
	Accepted bool // it carried the real key
}

// A Recorder plays all upstreams. It speaks HTTP/1.1 and HTTP/2 without TLS, and
// refuses any request that does not carry the real key.
type Recorder struct {
	accept func(uri string, h http.Header) bool

	servers []*httptest.Server // one a cluster

	mu      sync.Mutex
	answers map[string]*answering
	records map[string][]*Record // by row
}

// answering is what a row's request is answered with.
type answering struct {
	Answer
	fill func(string) string
}

// connection knows when the request that is being read began.
type connection struct {
	mu    sync.Mutex
	began time.Time
}

type connectionKey struct{}

func newRecorder(accept func(uri string, h http.Header) bool) *Recorder {
	return &Recorder{accept: accept, answers: map[string]*answering{}, records: map[string][]*Record{}}
}

// listen serves one cluster and returns its address.
func (rec *Recorder) listen(t *testing.T, cluster string) string {
	t.Helper()
	var conns sync.Map // net.Conn to *connection
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec.serve(w, r, cluster)
	}))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		info := &connection{}
		conns.Store(c, info)
		return context.WithValue(ctx, connectionKey{}, info)
	}
	srv.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if info, ok := conns.Load(c); ok && s == http.StateActive {
			info.(*connection).begin()
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	rec.servers = append(rec.servers, srv)
	return srv.Listener.Addr().String()
}

func (c *connection) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = time.Now()
}

func (c *connection) firstByte() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began
}

// expect says how a row's requests are answered.
func (rec *Recorder) expect(row string, a Answer, fill func(string) string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.answers[row] = &answering{a, fill}
}

// seen are the records of a row so far.
func (rec *Recorder) seen(row string) []*Record {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return rec.records[row]
}

// begin records a request whose headers have come, and tells its answer; nil for
// one that is refused.
func (rec *Recorder) begin(r *Record) *reply {
	r.Accepted = rec.accept(r.URI, r.Header)
	row := r.Header.Get(rowHeader)
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.records[row] = append(rec.records[row], r)
	if a := rec.answers[row]; a != nil && r.Accepted {
		return a.reply(r)
	}
	return nil
}

// close stops listening: from now on every upstream is down.
func (rec *Recorder) close() {
	for _, srv := range rec.servers {
		srv.Close()
	}
}

func (rec *Recorder) serve(w http.ResponseWriter, r *http.Request, cluster string) {
	info, _ := r.Context().Value(connectionKey{}).(*connection)
	record := &Record{Cluster: cluster, First: info.firstByte(), URI: r.RequestURI, Header: r.Header.Clone()}
	reply := rec.begin(record)
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxRecorded)) // what came is compared with what was sent
	rec.mu.Lock()
	record.Body, record.Trailer = body, r.Trailer.Clone()
	rec.mu.Unlock()
	switch {
	case reply == nil:
		http.Error(w, refusedKey, http.StatusUnauthorized)
	case reply.reset:
		panic(http.ErrAbortHandler)
	default:
		reply.write(w)
	}
}

// refusedKey is what an upstream says to a request without its real key.
const refusedKey = "this upstream accepts its real key only"

// A reply is an answer with its placeholders filled in.
type reply struct {
	status   int
	headers  http.Header // an empty list of values keeps Go from adding its own
	body     []piece
	trailers http.Header
	reset    bool
}

func (a *answering) reply(r *Record) *reply {
	fill := func(s string) string {
		for name := range r.Header {
			s = strings.ReplaceAll(s, "${seen:"+strings.ToLower(name)+"}", r.Header.Get(name))
		}
		return a.fill(strings.ReplaceAll(s, "${seen:uri}", r.URI))
	}
	out := &reply{status: a.Status, headers: http.Header{}, trailers: http.Header{}, body: a.Body.pieces(fill), reset: a.Reset}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	if a.Body == nil {
		out.headers.Set("Content-Type", "application/json")
		out.body = []piece{{data: []byte(`{"ok":true}`)}}
	}
	for name, values := range a.Headers {
		list := make([]string, len(values))
		for i, v := range values {
			list[i] = fill(v)
		}
		out.headers[http.CanonicalHeaderKey(name)] = list
	}
	if a.Body != nil && !a.Body.Open {
		out.headers.Set("Content-Length", strconv.Itoa(length(out.body)))
	}
	for name, values := range a.Trailers {
		out.trailers.Set(name, fill(strings.Join(values, ",")))
	}
	return out
}

func (r *reply) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.headers)
	for name := range r.trailers {
		w.Header().Add("Trailer", name)
	}
	if r.status == http.StatusNoContent {
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(r.status)
	for _, p := range r.body {
		time.Sleep(p.after)
		if _, err := w.Write(p.data); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
	maps.Copy(w.Header(), r.trailers)
}
