package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A call is one request, ready to be written to a connection as it is: one
// write per request keeps the generator cheap.
type call struct {
	wire   []byte
	answer int // bytes of the answer's body
}

// newCall renders a POST. headers are without content-length.
func newCall(path string, headers [][2]string, body string, answer int) call {
	wire := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nhost: %s\r\n", path, authority)
	for _, h := range headers {
		wire = fmt.Appendf(wire, "%s: %s\r\n", h[0], h[1])
	}
	wire = fmt.Appendf(wire, "content-length: %d\r\n\r\n%s", len(body), body)
	return call{wire: wire, answer: answer}
}

// load sends n requests over some kept-alive connections, one at a time on each,
// and returns how long each took. Any answer but a whole 200 is an error.
func load(ctx context.Context, addr string, c call, connections, n int) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([]time.Duration, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			if err := sendAll(ctx, addr, c, took, &next); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return took, context.Cause(ctx)
}

// sendAll sends requests on one connection until all of took is filled.
func sendAll(ctx context.Context, addr string, c call, took []time.Duration, next *atomic.Int64) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answers := bufio.NewReader(conn)
	for {
		i := next.Add(1) - 1
		if i >= int64(len(took)) {
			return nil
		}
		start := time.Now()
		if err := send(conn, answers, c); err != nil {
			return err
		}
		took[i] = time.Since(start)
	}
}

func send(conn net.Conn, answers *bufio.Reader, c call) error {
	if _, err := conn.Write(c.wire); err != nil {
		return err
	}
	res, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		const enough = 500
		body, _ := io.ReadAll(io.LimitReader(res.Body, enough))
		return fmt.Errorf("answer is %s: %s", res.Status, body)
	}
	switch n, err := io.Copy(io.Discard, res.Body); {
	case err != nil:
		return err
	case n != int64(c.answer):
		return fmt.Errorf("answer has %d bytes, want %d", n, c.answer)
	}
	return nil
}
