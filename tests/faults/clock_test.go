package faults_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/filter"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// TestTheGatewaysClockJumps: how old what it has is can't be told any more, so it
// denies until it has heard of the Manager again, which it asks at once.
func TestTheGatewaysClockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"forwards": 2 * time.Hour, "backwards": -2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "keyward.db"))
			g := newGateway(t, s)
			create(t, s, "w1")
			stop := g.follow(s)
			g.poll()
			g.check("at first", "w1", "active")
			stop()
			g.host.Answer(filter.Answer{Status: 503}) // so that it waits before it asks again
			g.pass(10 * time.Minute)                  // as long as it waits at most
			mutate(t, s, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.SetConsumerState(ctx, "w1", 0, snapshot.Suspended)
				return err
			})
			g.host.Time += int64(jump)
			g.check("after the jump", "w1", string(policies.SnapshotStale))

			defer g.follow(s)()
			g.host.Calls = nil
			before := g.host.Time
			g.poll()
			if waited := time.Duration(g.host.Time - before); waited > time.Minute {
				t.Errorf("it asked %s after the jump", waited)
			}
			g.check("after it heard of the Manager", "w1", "suspended")
		})
	}
}

// TestTheManagersClockJumps: changes stay in the order of their generations, and a
// gateway that is there never counts as one that need not confirm.
func TestTheManagersClockJumps(t *testing.T) {
	now := time.Now()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g := newGateway(t, s)
	create(t, s, "w1")
	defer g.follow(s)()
	g.poll()
	states := []snapshot.State{snapshot.Suspended, snapshot.Active}
	last := uint64(0)
	for i, jump := range []time.Duration{24 * time.Hour, -48 * time.Hour, -time.Hour, 72 * time.Hour} {
		now = now.Add(jump)
		gen := mutate(t, s, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.SetConsumerState(ctx, "w1", 0, states[i%2])
			return err
		})
		if gen <= last {
			t.Errorf("generation %d after %d", gen, last)
		}
		last = gen
		g.poll() // hears of the change
		g.check(jump.String(), "w1", string(states[i%2]))
		create(t, s, "w1-"+string(rune('a'+i)))
		g.poll() // confirms it
		seen, err := s.Gateway(t.Context(), "edge")
		if err != nil || seen.Connection != "connected" || seen.Confirmed < gen {
			t.Errorf("after a jump by %s: %s, %d confirmed of %d, %v", jump, seen.Connection, seen.Confirmed, gen, err)
		}
	}
	entries, err := s.Log(t.Context(), 0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if e.Position != uint64(i) || e.Kind != manager.EntryAction {
			t.Fatalf("entry %d of the log has position %d and kind %q", i, e.Position, e.Kind)
		}
	}
}
