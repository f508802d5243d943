package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/manager/store"
)

func testLead(t *testing.T, f *fixture) {
	other, err := store.Open(t.Context(), f.dsn, f.opt) // as another Manager
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	leads := make(chan string)
	lead := func(s *store.Store, name, holder string) (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Lead(ctx, name, holder, func(ctx context.Context) {
				leads <- holder
				<-ctx.Done()
			}, func(err error) {
				if err == nil {
					leads <- holder + " waits"
				}
			})
		}()
		return func() { cancel(); <-done }
	}
	want := func(what string) {
		t.Helper()
		if got := <-leads; got != what {
			t.Fatalf("%q, want %q", got, what)
		}
	}
	stopOne := lead(f.Store, "rooms", "one")
	want("one")
	stopTwo := lead(other, "rooms", "two")
	want("two waits")
	stopElse := lead(other, "else", "two")
	want("two")
	stopElse()
	stopOne() // gives it back
	want("two")
	f.exec(t, `UPDATE leases SET holder = 'dead'`)
	stopTwo()
	stopOne = lead(f.Store, "rooms", "one")
	want("one waits")
	f.advance(time.Minute) // a dead one's ends by itself
	want("one")
	stopOne()
}

func testEndedGateways(t *testing.T, f *fixture) {
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		for _, id := range []string{"gw-1", "gw-2"} {
			if _, err := tx.CreateGateway(ctx, manager.GatewaySpec{ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
	seen := func(gateway, instance string) {
		t.Helper()
		if err := f.SeenGateway(t.Context(), gateway, manager.GatewayInstance{ID: instance, Epoch: "e", Confirmed: 1}); err != nil {
			t.Fatal(err)
		}
	}
	end := func(want int) {
		t.Helper()
		if n, err := f.EndGateways(t.Context(), f.clock().Add(-time.Minute)); err != nil || n != want {
			t.Errorf("%d ended, %v, want %d", n, err, want)
		}
	}
	f.append(t, "a.1", records(1, 3))
	f.append(t, "a.2", records(1, 2))
	f.append(t, "ab.1", records(1, 1)) // of another instance
	seen("gw-1", "a")
	seen("gw-1", "key-swap") // records nothing
	seen("gw-2", "a")
	end(0)
	f.advance(2 * time.Minute)
	seen("gw-1", "ab")
	end(2)
	end(0)
	f.append(t, "a.1", records(4, 4)) // it was only cut off
	seen("gw-1", "a")
	f.advance(2 * time.Minute)
	seen("gw-1", "ab")
	end(2)
	var got []manager.Gap
	for _, e := range f.logged(t) {
		if e.Gap != nil {
			got = append(got, *e.Gap)
		}
	}
	want := []manager.Gap{{First: 4, Last: 4, Open: true}, {First: 3, Last: 3, Open: true}, {First: 5, Last: 5, Open: true}, {First: 3, Last: 3, Open: true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}

func testRetain(t *testing.T, f *fixture) {
	f.append(t, "a", records(1, 3))
	f.advance(time.Hour)
	f.append(t, "a", records(4, 5))
	retain := func(age time.Duration, needed, want uint64) {
		t.Helper()
		if got, err := f.Retain(t.Context(), f.clock().Add(-age), needed); err != nil || got != want {
			t.Errorf("dropped before %d, %v, want %d", got, err, want)
		}
	}
	retain(2*time.Hour, 100, 0) // nothing is as old
	retain(time.Minute, 1, 0)   // all of it is needed
	retain(time.Minute, 3, 3)
	retain(time.Minute, 100, 4)
	retain(time.Minute, 100, 0) // there is nothing more to drop
	var kinds []string
	entries, err := f.Log(t.Context(), 1, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		kinds = append(kinds, string(e.Kind))
	}
	want := []string{"dropped", "dropped", "dropped", "decision", "decision", "action", "action"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func testForwarded(t *testing.T, f *fixture) {
	for _, step := range []struct{ to, want uint64 }{{0, 0}, {7, 7}, {5, 7}, {9, 9}} {
		if err := f.Forward(t.Context(), "siem", step.to); err != nil {
			t.Fatal(err)
		}
		if n, err := f.Forwarded(t.Context(), "siem"); err != nil || n != step.want {
			t.Errorf("after %d: %d, %v, want %d", step.to, n, err, step.want)
		}
	}
	if n, err := f.Forwarded(t.Context(), "other"); err != nil || n != 0 {
		t.Errorf("another receiver: %d, %v", n, err)
	}
}
