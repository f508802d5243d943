package revoke_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/tests/testenv"
)

const (
	threads  = 4 // of Envoy, beside its main thread
	callers  = 8 // at once, during rotations
	patience = 30 * time.Second
)

// A result is what dist/bench-revoke.json holds. Times are from an API call to
// the first answer decided by it on the last worker thread; for streams, to
// their end at the client.
type result struct {
	Trials         int     `json:"trials"`
	Threads        int     `json:"threads"`
	P50            float64 `json:"p50_ms"`
	P99            float64 `json:"p99_ms"`
	Max            float64 `json:"max_ms"`
	StreamP99      float64 `json:"stream_p99_ms"`
	RotationCalls  int     `json:"rotation_calls"`
	RotationFailed int     `json:"rotation_failed"`
}

func TestChangesAreInForceOnEveryThread(t *testing.T) {
	testenv.Heavy(t, "a real Envoy")
	root := testenv.Root(t)
	w := newWorld(t)
	r := result{Trials: testenv.Number(t, "TRIALS", 25), Threads: threads}
	changes, streams := w.trials(r.Trials)
	r.P50, r.P99, r.Max = quantile(changes, 0.5), quantile(changes, 0.99), quantile(changes, 1)
	r.StreamP99 = quantile(streams, 0.99)
	r.RotationCalls, r.RotationFailed = w.rotations(testenv.Number(t, "ROTATIONS", 4), testenv.Number(t, "CALLS", 200))
	t.Logf("%d calls during rotations, %d failed", r.RotationCalls, r.RotationFailed)
	t.Logf("changes: p50 %.1f, p99 %.1f, max %.1f ms; %d streams: p50 %.1f, p99 %.1f, max %.1f ms",
		r.P50, r.P99, r.Max, len(streams), quantile(streams, 0.5), r.StreamP99, quantile(streams, 1))
	if r.RotationFailed > 0 {
		t.Errorf("%d of %d calls failed during rotations", r.RotationFailed, r.RotationCalls)
	}
	log := w.envoy.Log()
	if strings.Contains(log, w.token.Secret) {
		t.Error("Envoy's log holds a consumer token")
	}
	if out := os.Getenv("OUT"); out != "" {
		b, err := json.Marshal(r)
		w.must(err)
		w.must(os.WriteFile(filepath.Join(root, out), append(b, '\n'), 0o644))
	}
}

// A change is one that is tried again and again, each allowed by the one before.
type change struct {
	name  string
	want  bool // what is decided then
	cuts  bool // open streams end
	apply func(w *world, ctx context.Context) error
}

var waiting = client.Request{Wait: true}

var cycle = []change{
	{"suspend", false, true, func(w *world, ctx context.Context) error {
		_, c, err := w.api.SuspendConsumer(ctx, waiting, "worker")
		return inForce(waiting, c, err)
	}},
	{"resume", true, false, func(w *world, ctx context.Context) error {
		_, c, err := w.api.ResumeConsumer(ctx, waiting, "worker")
		return inForce(waiting, c, err)
	}},
	{"revoke", false, true, func(w *world, ctx context.Context) error {
		c, err := w.api.RevokeGrant(ctx, waiting, w.grant)
		return inForce(waiting, c, err)
	}},
	{"grant", true, false, func(w *world, ctx context.Context) error { return w.allow(ctx, waiting) }},
	{"rotate", true, false, func(w *world, ctx context.Context) error {
		issued, c, err := w.api.RotateToken(ctx, waiting, w.token.Object.ID, nouns.TokenRotation{OverlapSeconds: 5})
		w.token = issued
		return inForce(waiting, c, err)
	}},
}

// trials returns the milliseconds of n changes, and of the streams that they cut.
func (w *world) trials(n int) (changes, streams []float64) {
	w.Helper()
	ps := w.newProbers(threads)
	ps.run(w.token.Secret)
	late, told := int64(0), map[string]int{}
	for i := range n {
		c := cycle[i%len(cycle)]
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		var open *stream
		path := [...]string{"/api/busy", "/api/silent"}[i/2%2]
		if c.cuts {
			open = w.open(path, i/4%2 == 1)
		}
		t := newTrial(threads, w.token.Secret, c.want)
		if c.name != "rotate" {
			ps.trial.Store(t)
		}
		w.must(c.apply(w, ctx))
		if c.name == "rotate" { // nobody has the new token before
			began := t.began
			t = newTrial(threads, w.token.Secret, c.want)
			t.began = began
			ps.trial.Store(t)
		}
		t.forced.Store(time.Now().UnixNano())
		d, err := ps.wait(ctx, t)
		if err != nil {
			w.Fatalf("trial %d, %s: %v", i, c.name, err)
		}
		changes = append(changes, milliseconds(d))
		late += t.late.Load()
		if open != nil {
			d, ended := open.wait(ctx, t.began)
			if !ended {
				w.Fatalf("trial %d, %s: the stream does not end", i, c.name)
			}
			streams = append(streams, milliseconds(d))
			if strings.Contains(open.text.String(), "event: error\n") {
				told[path]++
			}
		}
		cancel()
	}
	// On a busy machine the next event may be too late to be replaced.
	if len(streams) > 0 && told["/api/busy"] == 0 || told["/api/silent"] > 0 {
		w.Errorf("told why they end: %v", told)
	}
	if late > 0 {
		w.Errorf("%d requests were decided by the state before a change that the API had told to be in force", late)
	}
	return changes, streams
}

// rotations rotates the consumer's token and the server's key in turn, under a
// load of at least so many calls, and returns how many of them failed.
func (w *world) rotations(n, calls int) (made, failed int) {
	w.Helper()
	var token atomic.Pointer[string]
	token.Store(&w.token.Secret)
	var all, bad atomic.Int64
	var done atomic.Bool
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: callers}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for all.Load() < int64(calls) || !done.Load() {
				all.Add(1)
				if err := w.call(&client, *token.Load()); err != nil && bad.Add(1) <= 3 {
					w.Logf("during rotations: %v", err)
				}
			}
		})
	}
	for i := range n {
		for all.Load() < int64(calls*i/n) { // spread over all calls
			time.Sleep(time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		if i%2 == 0 {
			w.must(cycle[len(cycle)-1].apply(w, ctx))
			secret := w.token.Secret
			token.Store(&secret)
		} else {
			w.number++
			_, c, err := w.api.RotateCredential(ctx, waiting, "api", nouns.CredentialRotation{Number: w.number, CredentialSealed: w.sealed(), OverlapSeconds: 60})
			w.must(inForce(waiting, c, err))
		}
		cancel()
	}
	done.Store(true)
	wg.Wait()
	return int(all.Load()), int(bad.Load())
}

func (w *world) call(c *http.Client, token string) error {
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, "http://"+w.envoy.Addr+"/api/ping", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quantile is the smallest value that a share of all is not above.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, min(len(sorted)-1, int(float64(len(sorted))*share+0.999999)-1))]
}
