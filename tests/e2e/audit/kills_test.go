package audit_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyward/manager/store"
	"keyward/policies"
	"keyward/tests/testenv"
)

// Workers, at once. Those of the loose target have a gateway's last records to
// lose, and the others nothing.
const (
	syncWorkers  = 20
	looseWorkers = 4
)

// A caller is one Worker that calls one tool after the other, each once: a tool's
// name stands for the call.
type caller struct {
	id, target string
	answered   []attempt // in order; those that a kill left without an answer are not among them
	made       int
}

type attempt struct {
	tool    string
	allowed bool
}

// A quota is how many calls were answered, of how many that may be now: calls are
// spread over all kills.
type quota struct{ done, most atomic.Int64 }

// run calls until ctx is done. Each tenth call is refused by the policy.
func (c *caller) run(ctx context.Context, w *world, q *quota) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		if q.done.Load() >= q.most.Load() {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		c.made++
		tool, ok := fmt.Sprintf("%s-%d", c.id, c.made), c.made%10 != 0
		text, err := w.call(ctx, client, c.id, c.target, tool, ok)
		switch {
		case err == nil && allowed(text), err == nil && denied(text, policies.NotGranted):
			c.answered = append(c.answered, attempt{tool, allowed(text)})
			q.done.Add(1)
		default: // something is being killed
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// A result is what dist/audit.json holds of the run.
type result struct {
	Calls      int `json:"calls"` // that were answered, of the sync target
	Kills      int `json:"kills"`
	Lost       int `json:"lost"`    // of decisions that were told or acted on: in the log or in the room not at all
	Doubled    int `json:"doubled"` // in the log or in the room more than once
	LooseCalls int `json:"loose_calls"`
	LooseLost  int `json:"loose_lost"` // of them; a gateway's last ones, which the log knows to be missing
	Gaps       int `json:"gaps"`       // entries that say so
}

// TestKillsLoseAndDoubleNothing kills gateway, Manager and homeserver in turn while
// Workers call, and then looks for every decision in the log and in its room.
func TestKillsLoseAndDoubleNothing(t *testing.T) {
	skipUnlessE2E(t)
	var hs *testenv.Homeserver
	switch name := os.Getenv("HOMESERVER"); name {
	case "", "synapse":
		hs = testenv.StartSynapse(t, testenv.HomeserverOptions{})
	case "dendrite":
		hs = testenv.StartDendrite(t)
	default:
		t.Fatalf("HOMESERVER: %q", name)
	}
	kind := os.Getenv("GATEWAY")
	if kind == "" {
		kind = "envoy"
	}
	alice := hs.Register(t, "alice", true)
	w := newWorld(t, fmt.Sprintf("matrix: {homeserver: %q, user: %q, admins: [%q], registrationSecretFile: %q}\n",
		hs.URL, "@keyward:"+hs.Name, alice.ID, secretFile(t, hs.Secret)), gateways[kind])
	kills, calls := testenv.Number(t, "KILLS", 9), testenv.Number(t, "CALLS", 900)
	var callers []*caller
	for i := range syncWorkers + looseWorkers {
		c := &caller{id: fmt.Sprintf("sync-%d", i), target: syncTarget}
		if i >= syncWorkers {
			c.id, c.target = fmt.Sprintf("loose-%d", i-syncWorkers), looseTarget
		}
		callers = append(callers, c)
		w.worker(c.id, c.target)
	}
	w.startGateway()
	w.await("sync-0", syncTarget)

	var calling, loose quota
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for _, c := range callers {
		q := &calling
		if c.target == looseTarget {
			q = &loose
		}
		wg.Go(func() { c.run(ctx, w, q) })
	}
	each := int64(calls) / int64(kills+1)
	for i := range kills {
		stage := each * int64(i+1)
		calling.most.Store(stage + each) // they go on while something is down
		loose.most.Store((stage + each) / 4)
		w.reached(&calling, stage)
		victim, began := [...]string{"gateway", "Manager", "homeserver"}[i%3], time.Now()
		switch victim {
		case "gateway":
			w.gateway.Kill()
			w.startGateway()
		case "Manager":
			w.manager.Kill()
			w.startManager()
		case "homeserver":
			hs.Kill()
			hs.Start(t)
		}
		t.Logf("kill %d of %d: the %s, back after %.1f s; %d calls answered", i+1, kills, victim, time.Since(began).Seconds(), calling.done.Load())
	}
	calling.most.Store(int64(calls))
	w.reached(&calling, int64(calls))
	stop()
	wg.Wait()

	s, err := store.Open(t.Context(), filepath.Join(w.dir, "keyward.db"), store.Options{})
	w.must(err)
	defer s.Close()
	w.settled(s, kills)
	if kills >= manyKills {
		w.gapsTold(s, (kills+2)/3)
		w.settled(s, kills)
	}
	r := w.compare(s, callers)
	w.compareRooms(s, hs, alice, callers, &r)
	w.verify(w.checkpoints(s, hs, alice))
	r.Kills = kills
	t.Logf("%+v", r)
	if r.Lost != 0 || r.Doubled != 0 || r.Calls < calls {
		t.Errorf("of %d calls %d are lost, %d doubled", r.Calls, r.Lost, r.Doubled)
	}
	keep(t, r)
}

func secretFile(t *testing.T, secret string) string {
	path := filepath.Join(t.TempDir(), "registration.secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *world) reached(q *quota, calls int64) {
	w.Helper()
	w.until(fmt.Sprintf("%d calls", calls), func(context.Context) error {
		if n := q.done.Load(); n < calls {
			return fmt.Errorf("%d were answered", n)
		}
		return nil
	})
}
