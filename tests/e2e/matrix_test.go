package e2e_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/matrix"
	"keyward/manager/store"
	"keyward/policies"
	"keyward/tests/e2e/rooms"
	"keyward/tests/testenv"
)

// A matrixWorld is a store, a homeserver and what runs between them.
type matrixWorld struct {
	*store.Store
	hs    *testenv.Homeserver
	alice testenv.MatrixUser // the admin
	opt   matrix.Options
	dir   string
	log   *testenv.Output
	seq   uint64
}

func newMatrixWorld(t *testing.T, hs *testenv.Homeserver) *matrixWorld {
	t.Helper()
	w := &matrixWorld{hs: hs, alice: hs.Register(t, "alice", true), dir: t.TempDir(), log: &testenv.Output{}}
	var err error
	if w.Store, err = store.Open(t.Context(), filepath.Join(w.dir, "keyward.db"), store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		if t.Failed() {
			t.Logf("log of the service:\n%s", w.log.String()[max(0, len(w.log.String())-6000):])
		}
	})
	w.opt = matrix.Options{
		Homeserver: hs.URL, User: "@keyward:" + hs.Name, Admins: []string{w.alice.ID},
		Registration: matrix.Registration{Secret: hs.Secret}, Session: filepath.Join(w.dir, "matrix.session"),
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	return w
}

// serve runs the service until stop is called or the test ends.
func (w *matrixWorld) serve(t *testing.T) (stop func()) {
	t.Helper()
	s, err := matrix.New(w.Store, w.opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func (w *matrixWorld) mutate(t *testing.T, fn func(context.Context, *store.Tx) error) {
	t.Helper()
	_, err := w.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error { return fn(t.Context(), tx) })
	if err != nil {
		t.Fatal(err)
	}
}

func (w *matrixWorld) worker(t *testing.T, id string) {
	t.Helper()
	w.mutate(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateConsumer(ctx, manager.ConsumerSpec{ID: id, Kind: "worker"})
		return err
	})
}

// call records that a Worker called a tool.
func (w *matrixWorld) calls(t *testing.T, worker string, n int) {
	t.Helper()
	var list []policies.Record
	for range n {
		w.seq++
		list = append(list, policies.Record{
			Type: policies.RecordDecision, ID: fmt.Sprintf("d%d", w.seq), Time: time.Now().UTC(), Sequence: w.seq,
			Kind: policies.KindMCP, Consumer: worker, Target: "github", Method: "tools/call", Name: "create_issue", Verdict: policies.Allow,
		})
	}
	if err := w.AppendRecords(t.Context(), "gateway", "vm", list); err != nil {
		t.Fatal(err)
	}
}

// settled waits until nothing waits for a room any more.
func (w *matrixWorld) settled(t *testing.T) {
	t.Helper()
	w.until(t, "nothing waits", func(ctx context.Context) error {
		posted, err := w.Posted(ctx)
		if err != nil {
			return err
		}
		size, err := w.LogSize(ctx)
		if err != nil {
			return err
		}
		n, _, err := w.Waiting(ctx)
		if err == nil && (n > 0 || posted < size) {
			err = fmt.Errorf("%d entries wait, %d of %d were read", n, posted, size)
		}
		return err
	})
}

func (w *matrixWorld) until(t *testing.T, what string, ready func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := testenv.Await(ctx, ready); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// placed waits until a room is in Matrix, and alice in it.
func (w *matrixWorld) placed(t *testing.T, id string) string {
	t.Helper()
	var place string
	w.until(t, "room "+id, func(ctx context.Context) error {
		r, err := w.Room(ctx, id)
		if err == nil && r.Matrix == "" {
			err = fmt.Errorf("it has no place")
		}
		place = r.Matrix
		return err
	})
	w.until(t, "an invitation to "+id, func(context.Context) error {
		status, b := w.hs.Try(t, http.MethodPost, "/_matrix/client/v3/join/"+url.PathEscape(place), w.alice.Token, struct{}{})
		if status != http.StatusOK {
			return fmt.Errorf("status %d: %s", status, b)
		}
		return nil
	})
	return place
}

// shows waits until a room shows so many entries, and checks their order: what a
// homeserver has taken it may show a little later.
func (w *matrixWorld) shows(t *testing.T, place string, entries int) rooms.Timeline {
	t.Helper()
	var tl rooms.Timeline
	w.until(t, "the room shows it all", func(context.Context) error {
		if tl = w.timeline(t, place); len(tl.Entries) < entries {
			return fmt.Errorf("it shows %d entries of %d", len(tl.Entries), entries)
		}
		return nil
	})
	if len(tl.Entries) > entries || tl.Check() != nil {
		t.Errorf("the room shows %d entries, want %d: %v", len(tl.Entries), entries, tl.Check())
	}
	return tl
}

// timeline is what a room shows, as alice reads it.
func (w *matrixWorld) timeline(t *testing.T, place string) rooms.Timeline {
	t.Helper()
	tl, err := rooms.Read(t.Context(), w.hs.URL, w.alice.Token, place)
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

func (w *matrixWorld) members(t *testing.T, place string) map[string]string {
	t.Helper()
	var state []struct {
		Type    string         `json:"type"`
		Key     string         `json:"state_key"`
		Content map[string]any `json:"content"`
	}
	w.hs.Call(t, http.MethodGet, "/_matrix/client/v3/rooms/"+url.PathEscape(place)+"/state", w.alice.Token, nil, &state)
	m := map[string]string{}
	for _, e := range state {
		if e.Type == "m.room.member" {
			m[e.Key], _ = e.Content["membership"].(string)
		}
	}
	return m
}

// homeservers runs a test on each homeserver.
func homeservers(t *testing.T, run func(*testing.T, *testenv.Homeserver)) {
	t.Run("synapse", func(t *testing.T) { run(t, testenv.StartSynapse(t, testenv.HomeserverOptions{})) })
	t.Run("dendrite", func(t *testing.T) { run(t, testenv.StartDendrite(t)) })
}

func TestRoomsShowEveryDecisionOnce(t *testing.T) {
	skipUnlessE2E(t)
	homeservers(t, func(t *testing.T, hs *testenv.Homeserver) {
		w := newMatrixWorld(t, hs)
		w.worker(t, "worker-a")
		w.worker(t, "worker-b")
		w.calls(t, "worker-a", 120)
		stop := w.serve(t)
		a, b, home := w.placed(t, "worker:worker-a"), w.placed(t, "worker:worker-b"), w.placed(t, "manager")
		w.calls(t, "worker-a", 30)
		w.calls(t, "worker-b", 10)
		w.settled(t)
		w.shows(t, b, 10)
		if got := w.shows(t, a, 150); len(got.Messages) > 20 {
			t.Errorf("150 calls take %d messages", len(got.Messages))
		}
		if got := w.timeline(t, home); len(got.Entries) < 5 || got.Check() != nil {
			t.Errorf("the Manager's room shows %d actions: %v", len(got.Entries), got.Check())
		}
		m := w.members(t, a)
		if len(m) != 3 || m["@keyward-worker-a:"+hs.Name] != "join" || m[w.alice.ID] != "join" {
			t.Errorf("members = %v", m)
		}
		// Another start finds the same rooms and sends nothing again.
		stop()
		w.serve(t)
		w.calls(t, "worker-b", 5)
		w.settled(t)
		if again := w.placed(t, "worker:worker-b"); again != b {
			t.Errorf("after a restart the room is another: %s", again)
		}
		w.shows(t, b, 15)
	})
}

func TestRoomsAreKept(t *testing.T) {
	skipUnlessE2E(t)
	homeservers(t, func(t *testing.T, hs *testenv.Homeserver) {
		w := newMatrixWorld(t, hs)
		w.worker(t, "worker-a")
		w.serve(t)
		place := w.placed(t, "worker:worker-a")
		path := "/_matrix/client/v3/rooms/" + url.PathEscape(place)
		mallory := hs.Register(t, "mallory", false)
		hs.Call(t, http.MethodPost, path+"/invite", w.alice.Token, map[string]string{"user_id": mallory.ID}, nil)
		hs.Call(t, http.MethodPost, "/_matrix/client/v3/join/"+url.PathEscape(place), mallory.Token, struct{}{}, nil)
		w.until(t, "a stranger is removed", func(context.Context) error {
			if m := w.members(t, place)[mallory.ID]; m != "leave" {
				return fmt.Errorf("membership %q", m)
			}
			return nil
		})
		hs.Call(t, http.MethodPost, path+"/leave", w.alice.Token, struct{}{}, nil)
		w.placed(t, "worker:worker-a") // she is invited again

		// A room that is gone is made anew, and goes on.
		hs.Call(t, http.MethodPost, path+"/kick", w.alice.Token, map[string]string{"user_id": "@keyward-worker-a:" + hs.Name}, nil)
		w.until(t, "the Worker is back", func(context.Context) error {
			if m := w.members(t, place)["@keyward-worker-a:"+hs.Name]; m != "join" {
				return fmt.Errorf("membership %q", m)
			}
			return nil
		})
		w.mutate(t, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteConsumer(ctx, "worker-a", 0) })
		w.until(t, "a Worker that is deleted leaves", func(context.Context) error {
			if m := w.members(t, place)["@keyward-worker-a:"+hs.Name]; m != "leave" {
				return fmt.Errorf("membership %q", m)
			}
			return nil
		})
		if m := w.members(t, place)[w.alice.ID]; m != "join" {
			t.Errorf("a Worker's room does not outlive it: the admin is %q there", m)
		}
		home := w.placed(t, "manager")
		w.until(t, "the Manager's room shows the deletion", func(context.Context) error {
			got := w.timeline(t, home)
			if !slices.ContainsFunc(got.Entries, func(e rooms.Entry) bool { return e.Action == "consumer delete" }) {
				return fmt.Errorf("it shows %+v", got.Entries)
			}
			return nil
		})
	})
}

func skipUnlessE2E(t *testing.T) {
	t.Helper()
	testenv.Heavy(t, "real homeservers")
}
