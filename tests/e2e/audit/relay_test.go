package audit_test

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"keyward/plugins/record"
	"keyward/tests/testenv"
)

// A relay is the network between a gateway and the Manager. What else than
// records goes through it is left alone.
type relay struct {
	addr string
	mu   sync.Mutex
	meet meeting
}

// A meeting says what becomes of a batch of records: next takes it to the Manager.
type meeting func(rw http.ResponseWriter, r *http.Request, batch string, next http.Handler)

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: to}
	proxy := testenv.Duplex(&httputil.ReverseProxy{
		FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: log.New(io.Discard, "", 0), // of gateways that were killed
	})
	n := &relay{}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		meet := n.meet
		n.mu.Unlock()
		if r.URL.Path != record.Path || meet == nil {
			proxy.ServeHTTP(rw, r)
			return
		}
		b, err := io.ReadAll(io.LimitReader(r.Body, record.MaxBytes))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		meet(rw, r, string(b), proxy)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	n.addr = srv.Listener.Addr().String()
	return n
}

// become sets what becomes of batches from now on; nil: they go through.
func (n *relay) become(m meeting) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.meet = m
}

// down answers as a proxy before a dead Manager.
func down(rw http.ResponseWriter, _ *http.Request, _ string, _ http.Handler) {
	rw.WriteHeader(http.StatusServiceUnavailable)
}

// deaf brings batches to the Manager, and loses its answers.
func deaf(rw http.ResponseWriter, r *http.Request, _ string, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	rw.WriteHeader(http.StatusGatewayTimeout)
}

// held keeps batches that tell of a tool until released is closed, and tells of
// the first one by closing came.
func held(tool string) (m meeting, came, released chan struct{}) {
	came, released = make(chan struct{}), make(chan struct{})
	var once sync.Once
	return func(rw http.ResponseWriter, r *http.Request, batch string, next http.Handler) {
		if strings.Contains(batch, `"`+tool+`"`) {
			once.Do(func() { close(came) })
			select {
			case <-released:
			case <-r.Context().Done():
				return
			}
		}
		next.ServeHTTP(rw, r)
	}, came, released
}
