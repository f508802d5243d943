package testenv_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"keyward/tests/testenv"
)

// TestDuplex answers while the proxy has yet to see that the request has ended.
func TestDuplex(t *testing.T) {
	seen := make(chan struct{})
	behind := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = http.NewResponseController(rw).Flush()
		<-seen
		_, _ = io.WriteString(rw, "the answer")
	}))
	defer behind.Close()
	to, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Body = &lateEnd{ReadCloser: r.Out.Body, end: end, seen: seen}
		},
	}
	before := httptest.NewServer(testenv.Duplex(proxy))
	defer before.Close()
	res, err := http.Post(before.URL, "text/plain", strings.NewReader("the request"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	close(end)
	if b, err := io.ReadAll(res.Body); string(b) != "the answer" || err != nil {
		t.Errorf("the answer is %q, %v", b, err)
	}
}

// A lateEnd is a body of one piece whose end is seen when end is closed.
type lateEnd struct {
	io.ReadCloser
	end, seen chan struct{}
	pieces    int
}

func (b *lateEnd) Read(p []byte) (int, error) {
	if b.pieces++; b.pieces == 1 {
		n, err := io.ReadFull(b.ReadCloser, p[:len("the request")])
		return n, err
	}
	<-b.end
	defer close(b.seen)
	return b.ReadCloser.Read(p)
}
