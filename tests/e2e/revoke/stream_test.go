package revoke_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// A stream is an open event stream, until it ends.
type stream struct {
	cancel context.CancelFunc
	begun  chan error
	ended  chan time.Time
	text   strings.Builder // all of it, once it has ended
}

// open opens an event stream, over HTTP/1.1 or HTTP/2, and waits for its first
// event.
func (w *world) open(path string, h2 bool) *stream {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	s := &stream{cancel: cancel, begun: make(chan error, 1), ended: make(chan time.Time, 1)}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!h2)
	transport.Protocols.SetUnencryptedHTTP2(h2)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.envoy.Addr+path, nil)
	w.must(err)
	req.Header.Set("Authorization", "Bearer "+w.token.Secret)
	go func() {
		defer transport.CloseIdleConnections()
		res, err := transport.RoundTrip(req)
		if err != nil {
			s.begun <- err
			return
		}
		defer res.Body.Close()
		r := bufio.NewReader(res.Body)
		_, err = r.ReadString('\n')
		s.begun <- err
		_, _ = io.Copy(&s.text, r) // it is cut
		s.ended <- time.Now()
	}()
	w.must(<-s.begun)
	return s
}

// wait returns when the stream ended, after a moment.
func (s *stream) wait(ctx context.Context, since time.Time) (time.Duration, bool) {
	defer s.cancel()
	select {
	case at := <-s.ended:
		return at.Sub(since), true
	case <-ctx.Done():
		return 0, false
	}
}
