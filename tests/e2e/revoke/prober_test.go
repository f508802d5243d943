package revoke_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"keyward/tests/testenv"
)

// pause is between two requests of a prober, so that the probers do not take the
// processor from what they measure.
const pause = time.Millisecond

// A trial is one change, and when it was first seen on each thread.
type trial struct {
	token string // that requests have to carry
	want  bool   // whether they are then allowed
	began time.Time
	seen  []chan time.Duration // by thread, each gets one
	// forced is when the API told that it is in force everywhere, Unix
	// nanoseconds; 0: not yet. A request sent later must not be decided otherwise.
	forced atomic.Int64
	late   atomic.Int64 // such requests
}

func newTrial(threads int, token string, want bool) *trial {
	t := &trial{token: token, want: want, began: time.Now()}
	for range threads {
		t.seen = append(t.seen, make(chan time.Duration, 1))
	}
	return t
}

// A prober asks again and again on one connection, which is on one thread.
type prober struct {
	conn   net.Conn
	answer *bufio.Reader
	last   string // what was read last, for errors
}

// ask sends one request and reports whether it was allowed.
func (p *prober) ask(token string) (bool, error) {
	_, err := fmt.Fprintf(p.conn, "GET /api/ping HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer %s\r\n\r\n", token)
	if err != nil {
		return false, err
	}
	res, err := http.ReadResponse(p.answer, nil)
	if err != nil {
		return false, fmt.Errorf("%w; after %s", err, p.last)
	}
	body, err := io.ReadAll(res.Body)
	p.last = fmt.Sprintf("%d %v %.300q", res.StatusCode, res.Header, body)
	if err != nil {
		return false, fmt.Errorf("%w; in %s", err, p.last)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return true, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return false, nil
	}
	return false, fmt.Errorf("status %d: %s", res.StatusCode, body)
}

// probers ask on every worker thread.
type probers struct {
	list  []*prober
	trial atomic.Pointer[trial]
	stop  chan struct{}
	wg    sync.WaitGroup
	err   atomic.Pointer[error]
}

// run starts the probers.
func (ps *probers) run(token string) {
	first := newTrial(len(ps.list), token, true)
	ps.trial.Store(first)
	for i, p := range ps.list {
		ps.wg.Go(func() {
			for told := (*trial)(nil); ; {
				select {
				case <-ps.stop:
					return
				case <-time.After(pause):
				}
				t := ps.trial.Load()
				sent := time.Now()
				allowed, err := p.ask(t.token)
				if err != nil {
					ps.err.CompareAndSwap(nil, &err)
					return
				}
				if allowed == t.want && told != t {
					told = t
					t.seen[i] <- time.Since(t.began)
				}
				if forced := t.forced.Load(); allowed != t.want && forced != 0 && sent.UnixNano() > forced {
					t.late.Add(1)
				}
			}
		})
	}
}

// end stops the probers.
func (ps *probers) end() {
	close(ps.stop)
	ps.wg.Wait()
	for _, p := range ps.list {
		p.conn.Close()
	}
}

// wait returns how long it took until a trial was seen on the last thread.
func (ps *probers) wait(ctx context.Context, t *trial) (time.Duration, error) {
	var last time.Duration
	for i := range t.seen {
		select {
		case d := <-t.seen[i]:
			last = max(last, d)
		case <-ctx.Done():
			if err := ps.err.Load(); err != nil {
				return 0, *err
			}
			return 0, fmt.Errorf("thread %d does not see it: %w", i, ctx.Err())
		}
	}
	return last, nil
}

// newProbers opens connections until there is one on each worker thread.
func (w *world) newProbers(threads int) *probers {
	w.Helper()
	ps := &probers{stop: make(chan struct{})}
	w.Cleanup(ps.end)
	have := map[string]bool{}
	for range 200 {
		before := w.connections()
		conn, err := net.Dial("tcp", w.envoy.Addr)
		w.must(err)
		p := &prober{conn: conn, answer: bufio.NewReader(conn)}
		_, err = p.ask(w.token.Secret)
		w.must(err)
		if thread := w.grown(before); have[thread] {
			conn.Close()
		} else {
			have[thread] = true
			ps.list = append(ps.list, p)
		}
		if len(ps.list) == threads {
			return ps
		}
	}
	w.Fatalf("connections on %d threads alone", len(ps.list))
	return nil
}

// grown is the one thread that accepted a connection since. Envoy counts per
// thread, and tells of it a moment later.
func (w *world) grown(before map[string]int) (thread string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	w.must(testenv.Await(ctx, func(context.Context) error {
		grown := 0
		for name, n := range w.connections() {
			if n > before[name] {
				thread = name
				grown += n - before[name]
			}
		}
		if grown != 1 {
			return fmt.Errorf("%d connections more, want 1", grown)
		}
		return nil
	}))
	return thread
}

// connections counts those that each worker thread ever accepted at the listener.
func (w *world) connections() map[string]int {
	w.Helper()
	res, err := http.Get("http://" + w.envoy.Admin + "/stats?filter=worker_[0-9]*.downstream_cx_total")
	w.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	w.must(err)
	count := map[string]int{}
	_, port, _ := strings.Cut(w.envoy.Addr, ":")
	for line := range strings.Lines(string(b)) {
		name, n, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if strings.Contains(name, "_"+port+".") {
			count[name], err = strconv.Atoi(n)
			w.must(err)
		}
	}
	return count
}
