package docker_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"keyward/manager/launchertest"
)

// cutOff returns the URL of the API of an engine with the given socket, which is
// gone after some changes.
func cutOff(t *testing.T, engine string, after int) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "cut.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", engine)
	}}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: launchertest.CutAfter(after, proxy)}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	return "unix://" + socket
}
