package docker_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A cutOff passes requests to the engine and, after some that change something,
// none any more: for the engine it is as if the caller were killed there.
type cutOff struct {
	host  string // socket of the engine
	after int

	mu   sync.Mutex
	seen int
}

// listen returns the URL of the API that will be cut off.
func (c *cutOff) listen(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "cut.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.host)
	}}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !c.let() {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	return "unix://" + socket
}

func (c *cutOff) let() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	return c.seen <= c.after
}
