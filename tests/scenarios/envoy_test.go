package scenarios_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"keyward/tests/testenv"
)

// realEnvoy is Envoy with deploy/envoy/envoy.yaml and the plugins in it.
type realEnvoy struct {
	*testenv.Envoy
	w   *World
	rec *Recorder
}

func newEnvoy(t *testing.T, w *World, rec *Recorder) gateway {
	t.Helper()
	upstreams := map[string]string{}
	for _, cluster := range clusters {
		upstreams[cluster] = rec.listen(t, cluster)
	}
	e := testenv.StartEnvoy(t, testenv.EnvoyOptions{Keys: w.privateKeys(t, "base"), Upstreams: upstreams})
	return &realEnvoy{e, w, rec}
}

func (e *realEnvoy) use(t *testing.T, snapshot string) {
	t.Helper()
	switch snapshot {
	case "none": // as it was started
	case "down":
		e.rec.close()
		fallthrough
	default:
		e.Configure(t, e.w.snapshot(t, snapshot))
	}
	if !slices.Contains(unusable, snapshot) {
		e.settle(t, snapshot)
	}
}

// settle waits until no worker thread serves an older snapshot: a thread tells of
// a configuration a moment before new streams get it. Connections fall on threads
// by chance, so it takes many to meet them all.
func (e *realEnvoy) settle(t *testing.T, snapshot string) {
	t.Helper()
	const connections = 64
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for met := 0; met < connections; {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.Addr+probe(snapshot), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Fatalf("snapshot %q does not get to every thread: %v", snapshot, err)
		}
		resp.Body.Close()
		if met++; resp.StatusCode != http.StatusUnauthorized { // not found: an older snapshot
			met = 0
		}
	}
}

func (e *realEnvoy) play(protocol string, r request) (*Exchange, error) {
	return exchange(e.Addr, protocol, r)
}

func (e *realEnvoy) logs() string { return e.Log() }
