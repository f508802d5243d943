package forward_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

	"keyward/manager/forward"
	"keyward/manager/store"
	"keyward/policies"
)

// A receiver takes decision logs and OTLP logs over HTTP, and keeps what they hold.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	answer func(bodies int) (status int, after string) // nil: 200
	calls  int
	got    []string // decision ids of what was answered with 200, and positions for OTLP
	bad    []string
	poison string // a request with this text is answered with 400
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	z, err := gzip.NewReader(req.Body)
	var b []byte
	if err == nil {
		b, err = io.ReadAll(z)
	}
	if err != nil || req.Header.Get("Content-Encoding") != "gzip" || req.Header.Get("Authorization") != "Bearer secret-token" {
		r.bad = append(r.bad, fmt.Sprintf("%s: %v, %v", req.URL.Path, err, req.Header))
	}
	r.calls++
	if r.poison != "" && strings.Contains(string(b), r.poison) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.answer != nil {
		if status, after := r.answer(r.calls); status != http.StatusOK {
			w.Header().Set("Retry-After", after)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			return
		}
	}
	switch req.URL.Path {
	case "/logs":
		var events []struct {
			DecisionID string `json:"decision_id"`
		}
		if err := json.Unmarshal(b, &events); err != nil || len(events) == 0 {
			r.bad = append(r.bad, fmt.Sprintf("%v: %s", err, b))
		}
		for _, e := range events {
			r.got = append(r.got, e.DecisionID)
		}
	case "/otel/v1/logs":
		var m collector.ExportLogsServiceRequest
		if err := proto.Unmarshal(b, &m); err != nil {
			r.bad = append(r.bad, err.Error())
		}
		for _, rl := range m.ResourceLogs {
			for _, sl := range rl.ScopeLogs {
				for _, rec := range sl.LogRecords {
					at := map[string]string{"name": rec.EventName, "severity": rec.SeverityNumber.String(), "body": rec.Body.GetStringValue()}
					for _, a := range rec.Attributes {
						at[a.Key] = a.Value.GetStringValue()
						if a.Key == "keyward.position" {
							at[a.Key] = fmt.Sprint(a.Value.GetIntValue())
						}
					}
					if !json.Valid([]byte(at["body"])) || rec.TimeUnixNano == 0 {
						r.bad = append(r.bad, rec.String())
					}
					r.got = append(r.got, strings.Join([]string{at["keyward.position"], at["name"], at["keyward.verdict"]}, " "))
				}
			}
		}
	default:
		r.bad = append(r.bad, req.URL.Path)
	}
}

// taken waits until it has so many, and returns them.
func (r *receiver) taken(t *testing.T, n int) []string {
	t.Helper()
	for range 6000 {
		r.mu.Lock()
		got, bad := slices.Clone(r.got), slices.Clone(r.bad)
		r.mu.Unlock()
		if len(bad) > 0 {
			t.Fatalf("the receiver can't read %q", bad)
		}
		if len(got) >= n {
			return got
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the receiver has %d of %d", len(r.got), n)
	return nil
}

type fixture struct {
	*store.Store
	next uint64
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &fixture{Store: s, next: 1}
}

// grow adds n decisions, every third a denial.
func (f *fixture) grow(t *testing.T, n int) {
	t.Helper()
	var list []policies.Record
	for range n {
		r := policies.Record{
			Type: policies.RecordDecision, ID: fmt.Sprintf("d%d", f.next), Time: time.Unix(1, 0).UTC(), Sequence: f.next,
			Kind: policies.KindMCP, Consumer: "worker-a", Target: "github", Method: "tools/call", Name: "x", Verdict: policies.Allow,
			Policy: "p1", Arguments: `{"a":1}`, Masked: []string{"/arguments/b"}, Duration: time.Second,
		}
		if f.next%3 == 0 {
			r.Verdict, r.Reason = policies.Deny, policies.NotGranted
		}
		list = append(list, r)
		f.next++
	}
	if err := f.AppendRecords(t.Context(), "gw-1", "vm-1", list); err != nil {
		t.Fatal(err)
	}
}

// forward runs a forwarder until stop is called.
func (f *fixture) forward(t *testing.T, name string, sink forward.Sink, opt forward.Options) (stop func()) {
	t.Helper()
	opt.Pause = time.Millisecond
	opt.Log = slog.New(slog.DiscardHandler)
	w, err := forward.New(f.Store, name, sink, opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func opa(t *testing.T, r *receiver) forward.Sink {
	t.Helper()
	s, err := forward.NewOPA(forward.Receiver{URL: r.URL + "/logs", Token: "secret-token"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decisions(from, to int) (list []string) {
	for n := from; n <= to; n++ {
		list = append(list, fmt.Sprintf("d%d", n))
	}
	return list
}

func TestDecisionsReachAnEndpointOfOPA(t *testing.T) {
	f, r := newFixture(t), newReceiver(t)
	f.grow(t, 700)
	stop := f.forward(t, "opa", opa(t, r), forward.Options{})
	r.taken(t, 700)
	f.grow(t, 20) // while it runs
	got := r.taken(t, 720)
	stop()
	f.grow(t, 5) // while it does not
	f.forward(t, "opa", opa(t, r), forward.Options{})
	got = append(got[:0:0], r.taken(t, 725)...)
	if diff := cmp.Diff(decisions(1, 725), got); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
}

// Whatever the receiver answers, it has everything in the end, and in order.
func TestAReceiverThatFailsLosesNothing(t *testing.T) {
	f, r := newFixture(t), newReceiver(t)
	r.answer = func(n int) (int, string) {
		switch n % 6 {
		case 1:
			return http.StatusTooManyRequests, "0"
		case 2:
			return http.StatusInternalServerError, ""
		case 3:
			return http.StatusFound, "" // no redirect is followed with the token
		case 4:
			return http.StatusUnauthorized, ""
		default:
			return http.StatusOK, ""
		}
	}
	registry := prometheus.NewRegistry()
	f.forward(t, "opa", opa(t, r), forward.Options{Metrics: registry})
	for range 5 {
		f.grow(t, 100)
		r.taken(t, int(f.next)-1)
	}
	if diff := cmp.Diff(decisions(1, 500), r.taken(t, 500)); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
	if n, err := testutil.GatherAndCount(registry); err != nil || n != 4 {
		t.Errorf("%d metrics, %v", n, err)
	}
}

// One entry that it will not have stops none that come after it.
func TestAnEntryThatIsRefusedIsLeftOut(t *testing.T) {
	f, r := newFixture(t), newReceiver(t)
	r.poison = `"d7"`
	f.grow(t, 30)
	f.forward(t, "opa", opa(t, r), forward.Options{})
	if diff := cmp.Diff(append(decisions(1, 6), decisions(8, 30)...), r.taken(t, 29)); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
}

func TestAllEntriesReachAnOTLPReceiver(t *testing.T) {
	f, r := newFixture(t), newReceiver(t)
	sink, err := forward.NewOTLP(t.Context(), forward.Receiver{URL: r.URL + "/otel", Token: "secret-token"})
	if err != nil {
		t.Fatal(err)
	}
	r.answer = func(n int) (int, string) {
		if n%2 == 1 {
			return http.StatusServiceUnavailable, "0"
		}
		return http.StatusOK, ""
	}
	f.grow(t, 3)
	f.next += 4 // never came
	f.grow(t, 1)
	f.forward(t, "otlp", sink, forward.Options{})
	want := []string{
		"0 keyward.action ", "1 keyward.decision allow", "2 keyward.decision allow", "3 keyward.decision deny",
		"4 keyward.gap ", "5 keyward.decision allow",
	}
	if diff := cmp.Diff(want, r.taken(t, 6)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestATokenIsNotSentInTheClear(t *testing.T) {
	for _, tt := range []struct {
		r    forward.Receiver
		good bool
	}{
		{forward.Receiver{URL: "https://siem.example/logs", Token: "x"}, true},
		{forward.Receiver{URL: "http://127.0.0.1:8080/logs", Token: "x"}, true},
		{forward.Receiver{URL: "http://collector:4318"}, true},
		{forward.Receiver{URL: "http://collector:4318", Token: "x"}, false},
		{forward.Receiver{URL: "https://user:secret-password@siem.example"}, false},
		{forward.Receiver{URL: "siem.example/logs"}, false},
		{forward.Receiver{}, false},
	} {
		err := tt.r.Validate()
		if (err == nil) != tt.good {
			t.Errorf("%s with token %q: %v", tt.r.URL, tt.r.Token, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret-password") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}
