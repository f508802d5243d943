package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// An upstream answers every request with the same bytes and checks what has
// reached it.
type upstream struct {
	addr     string
	server   *http.Server
	answer   string
	want     atomic.Pointer[map[string]string] // header to value; "" is absent
	requests atomic.Int64                      // since expect
	wrong    atomic.Pointer[string]            // the first request that was not as wanted
}

// serve starts an upstream on the loopback.
func serve(answer string) (*upstream, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &upstream{addr: l.Addr().String(), answer: answer}
	u.server = &http.Server{Handler: u}
	go u.server.Serve(l) //nolint:errcheck // ends with Close
	return u, nil
}

func (u *upstream) close() { u.server.Close() }

// expect makes want the rule for the requests that follow.
func (u *upstream) expect(want map[string]string) {
	u.want.Store(&want)
	u.requests.Store(0)
	u.wrong.Store(nil)
}

// check reports whether n requests have come since expect, all as wanted.
func (u *upstream) check(n int) error {
	if wrong := u.wrong.Load(); wrong != nil {
		return errors.New(*wrong)
	}
	if got := u.requests.Load(); got != int64(n) {
		return fmt.Errorf("%d requests reached the upstream, want %d", got, n)
	}
	return nil
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range *u.want.Load() {
		if r.Header.Get(name) != value {
			wrong := fmt.Sprintf("the upstream saw another %s than wanted", name)
			u.wrong.CompareAndSwap(nil, &wrong)
		}
	}
	u.requests.Add(1)
	if _, err := io.Copy(io.Discard, r.Body); err != nil && !errors.Is(err, context.Canceled) {
		wrong := "the upstream got a broken body: " + err.Error()
		u.wrong.CompareAndSwap(nil, &wrong)
	}
	w.Header().Set("content-type", "application/json")
	w.Header().Set("content-length", strconv.Itoa(len(u.answer)))
	io.WriteString(w, u.answer) //nolint:errcheck // the client counts the bytes
}
