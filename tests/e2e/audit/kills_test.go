package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/manager/audit"
	"keyward/manager/store"
	"keyward/policies"
	"keyward/tests/e2e/rooms"
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
	kills, calls := testenv.Number(t, "KILLS", 12), testenv.Number(t, "CALLS", 1000)
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
	w.verify()
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

// settled waits until all that gateways have is in the log, and all of that in
// rooms.
func (w *world) settled(s *store.Store, kills int) {
	w.Helper()
	size := uint64(0)
	for range kills + 10 { // a long outbox takes its time
		before := size
		w.until("rooms show the log", func(ctx context.Context) error {
			var err error
			if size, err = s.LogSize(ctx); err != nil {
				return err
			}
			posted, err := s.Posted(ctx)
			if err != nil {
				return err
			}
			n, _, err := s.Waiting(ctx)
			if err == nil && (n > 0 || posted < size) {
				err = fmt.Errorf("%d entries wait, %d of %d were read", n, posted, size)
			}
			return err
		})
		if size == before {
			return
		}
		time.Sleep(2 * time.Second) // for records that are on their way
	}
}

// manyKills is from how many on it is worth while to wait until the Manager is sure
// that killed gateways don't come back.
const manyKills = 30

// gapsTold waits until the log has that each killed gateway is gone.
func (w *world) gapsTold(s *store.Store, killed int) {
	w.Helper()
	w.until("the log knows of killed gateways", func(context.Context) error {
		instances := map[string]bool{}
		w.entries(s, func(e nouns.LogEntry) {
			if e.Gap != nil && e.Gap.Open {
				instance, _, _ := strings.Cut(e.VM, ".")
				instances[instance] = true
			}
		})
		if len(instances) < killed {
			return fmt.Errorf("of %d, of %d", len(instances), killed)
		}
		return nil
	})
}

// entries calls f with each entry of the log that is a Worker's.
func (w *world) entries(s *store.Store, f func(nouns.LogEntry)) {
	w.Helper()
	for from := uint64(0); ; {
		list, err := s.Log(w.Context(), from, 1000)
		w.must(err)
		if len(list) == 0 {
			return
		}
		for _, e := range list {
			f(e)
		}
		from = list[len(list)-1].Position + 1
	}
}

// compare holds what Workers were told and what the server was asked against the
// log.
func (w *world) compare(s *store.Store, callers []*caller) (r result) {
	w.Helper()
	at := map[string][]nouns.LogEntry{} // decisions by tool
	ids := map[string]bool{}
	w.entries(s, func(e nouns.LogEntry) {
		switch {
		case e.Kind == nouns.EntryGap:
			r.Gaps++
		case e.Kind == nouns.EntryDecision && e.Record.Consumer != "" && e.Record.Method == "tools/call":
			if at[e.Record.Name] = append(at[e.Record.Name], e); ids[e.Record.ID] {
				w.Errorf("decision %s is in the log twice", e.Record.ID)
			}
			ids[e.Record.ID] = true
		}
	})
	for tool, list := range at {
		if tool != "first" && len(list) > 1 {
			r.Doubled++
			w.Errorf("%s: %d decisions", tool, len(list))
		}
	}
	for _, c := range callers {
		told := map[string]attempt{}
		last := uint64(0)
		for _, a := range c.answered {
			told[a.tool] = a
			e := at[a.tool]
			if len(e) > 0 && (e[0].Record.Verdict == policies.Allow) != a.allowed {
				w.Errorf("%s: the log says %s", a.tool, e[0].Record.Verdict)
			}
			if len(e) > 0 && c.target == syncTarget {
				if e[0].Position <= last {
					w.Errorf("%s: at position %d, the one before it at %d", a.tool, e[0].Position, last)
				}
				last = e[0].Position
			}
		}
		lost := 0
		for n := 1; n <= c.made; n++ {
			tool := fmt.Sprintf("%s-%d", c.id, n)
			if _, ok := told[tool]; (ok || w.upstream.calls(tool) > 0) && len(at[tool]) == 0 {
				lost++
			}
		}
		if c.target == syncTarget {
			r.Calls += len(c.answered)
			r.Lost += lost
		} else {
			r.LooseCalls += len(c.answered)
			r.LooseLost += lost
		}
	}
	return r
}

// compareRooms holds each Worker's room against the log.
func (w *world) compareRooms(s *store.Store, hs *testenv.Homeserver, alice testenv.MatrixUser, callers []*caller, r *result) {
	w.Helper()
	of := map[string][]string{}
	w.entries(s, func(e nouns.LogEntry) {
		if e.Record != nil && e.Kind != nouns.EntryOutcome {
			of[e.Record.Consumer] = append(of[e.Record.Consumer], e.Record.ID)
		}
	})
	for _, c := range callers {
		room, err := s.Room(w.Context(), nouns.RoomID(nouns.RoomWorker, c.id))
		w.must(err)
		var tl rooms.Timeline
		w.until("room of "+c.id, func(ctx context.Context) (err error) {
			status, b := hs.Try(w, http.MethodPost, "/_matrix/client/v3/join/"+room.Matrix, alice.Token, struct{}{})
			if status != http.StatusOK {
				return fmt.Errorf("join: status %d: %s", status, b)
			}
			if tl, err = rooms.Read(ctx, hs.URL, alice.Token, room.Matrix); err == nil && len(tl.Entries) < len(of[c.id]) {
				err = fmt.Errorf("it shows %d entries of %d", len(tl.Entries), len(of[c.id]))
			}
			return err
		})
		lost, doubled := tl.Compare(of[c.id])
		r.Lost, r.Doubled = r.Lost+lost, r.Doubled+doubled
		if err := tl.Check(); err != nil || len(tl.Entries) != len(of[c.id]) {
			w.Errorf("room of %s: %d entries of %d: %v", c.id, len(tl.Entries), len(of[c.id]), err)
		}
	}
}

// verify has the log proved by what the Manager wrote down as its key.
func (w *world) verify() {
	w.Helper()
	var export bytes.Buffer
	w.must(w.api.ExportLog(w.Context(), &export))
	key, err := os.ReadFile(filepath.Join(w.dir, "log.key.pub"))
	w.must(err)
	report, err := audit.Verify(&export, audit.Trust{Key: strings.TrimSpace(string(key))}, nil)
	if err != nil || len(report.Findings) > 0 || report.Checkpoints == 0 {
		w.Errorf("the log does not verify: %+v, %v", report, err)
	}
}

// keep writes the members of r over those of the same name in the file that OUT
// names, from the root of the repository.
func keep(t *testing.T, r any) {
	t.Helper()
	out := os.Getenv("OUT")
	if out == "" {
		return
	}
	path := filepath.Join(testenv.Root(t), out)
	all := map[string]json.RawMessage{}
	if old, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(old, &all); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	if err == nil {
		b, err = json.Marshal(all)
	}
	if err == nil {
		err = os.WriteFile(path, append(b, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
