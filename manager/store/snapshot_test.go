package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
)

// A follower is a gateway that only ever gets deltas.
type follower struct {
	view *snapshot.View
	all  snapshot.Snapshot
}

// changes are what changed since, in one piece. Each plugin gets its part of that.
func changes(t *testing.T, f *fixture, epoch string, since uint64) snapshot.Snapshot {
	t.Helper()
	all := changesFor(t, f, epoch, since, snapshot.Everyone)
	if since%8 != 0 {
		return all // often enough, and three reads cost time
	}
	gate, swap := all, all
	gate.Credentials = nil
	swap.Policy, swap.Consumers = nil, nil
	for _, c := range all.Consumers {
		swap.Consumers = append(swap.Consumers, snapshot.Consumer{ID: c.ID, Kind: c.Kind, State: c.State, Credentials: c.Credentials})
	}
	for audience, want := range map[snapshot.Audience]snapshot.Snapshot{snapshot.ForGate: gate, snapshot.ForKeySwap: swap} {
		got := changesFor(t, f, epoch, since, audience)
		if diff := cmp.Diff(string(snapshot.Encode(&want)), string(snapshot.Encode(&got))); diff != "" {
			t.Errorf("for %s since %d (-want +got):\n%s", audience, since, diff)
		}
	}
	return all
}

func changesFor(t *testing.T, f *fixture, epoch string, since uint64, audience snapshot.Audience) snapshot.Snapshot {
	t.Helper()
	var all snapshot.Snapshot
	err := f.Changes(t.Context(), epoch, since, audience, func(part *snapshot.Snapshot) error {
		if all.Generation == 0 {
			all = *part
		}
		all.Targets = append(all.Targets, part.Targets...)
		all.Consumers = append(all.Consumers, part.Consumers...)
		all.Credentials = append(all.Credentials, part.Credentials...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// step takes the changes since the last step over.
func (g *follower) step(t *testing.T, f *fixture) {
	t.Helper()
	d := changes(t, f, g.all.Epoch, g.all.Generation)
	if g.view == nil {
		var err error
		if g.view, err = snapshot.NewView(&d); err != nil {
			t.Fatalf("whole snapshot: %v", err)
		}
		g.all = d
		return
	}
	if d.Since != g.all.Generation {
		t.Fatalf("asked for changes since %d, got since %d", g.all.Generation, d.Since)
	}
	if d.Generation == d.Since {
		return
	}
	if err := g.view.Apply(&d); err != nil {
		t.Fatalf("delta %s: %v", snapshot.Encode(&d), err)
	}
	g.all.Generation = d.Generation
	if d.Policy != nil {
		g.all.Policy = d.Policy
	}
	var gone snapshot.Removed
	if d.Removed != nil {
		gone = *d.Removed
	}
	g.all.Targets = merge(g.all.Targets, d.Targets, gone.Targets, func(t snapshot.Target) string { return t.ID })
	g.all.Consumers = merge(g.all.Consumers, d.Consumers, gone.Consumers, func(c snapshot.Consumer) string { return c.ID })
	g.all.Credentials = merge(g.all.Credentials, d.Credentials, gone.Credentials, func(c snapshot.Credential) string { return c.ID })
}

func merge[T any](base, changed []T, gone []string, id func(T) string) []T {
	drop := map[string]bool{}
	for _, g := range gone {
		drop[g] = true
	}
	for _, c := range changed {
		drop[id(c)] = true
	}
	var out []T
	for _, b := range base {
		if !drop[id(b)] {
			out = append(out, b)
		}
	}
	return append(out, changed...)
}

// testDeltas makes random changes, and has one gateway follow each of them,
// another now and then: both must end up with the whole snapshot.
func testDeltas(t *testing.T, f *fixture) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var close, far follower
	close.step(t, f)
	far.step(t, f)
	refused := 0
	for i := range 250 {
		f.advance(time.Second)
		_, err := f.try(t, func(ctx context.Context, tx *store.Tx) error { return randomChange(ctx, tx, rnd, i) })
		if err != nil {
			if !expected(err) {
				t.Fatalf("change %d: %v", i, err)
			}
			refused++
		}
		close.step(t, f)
		if rnd.IntN(20) == 0 {
			far.step(t, f)
		}
	}
	if refused > 200 {
		t.Errorf("%d of 250 changes were refused: the test shows too little", refused)
	}
	far.step(t, f)
	whole, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := string(snapshot.Encode(&whole))
	for name, g := range map[string]follower{"close": close, "far": far} {
		if diff := cmp.Diff(want, string(snapshot.Encode(&g.all))); diff != "" {
			t.Errorf("the %s follower has another state (-want +got):\n%s", name, diff)
		}
	}
}

// expected reports whether a random change may be refused with err.
func expected(err error) bool {
	for _, e := range []error{
		manager.ErrNotFound, manager.ErrExists, manager.ErrDeleted, manager.ErrState, manager.ErrInvalid, manager.ErrLimit,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func randomChange(ctx context.Context, tx *store.Tx, rnd *rand.Rand, i int) error {
	consumer := fmt.Sprintf("c-%d", rnd.IntN(8))
	target := fmt.Sprintf("t-%d", rnd.IntN(6))
	credential := fmt.Sprintf("k-%d", rnd.IntN(6))
	var err error
	switch rnd.IntN(14) {
	case 0, 1, 2:
		_, err = tx.CreateConsumer(ctx, consumerSpec(consumer))
	case 3:
		_, err = tx.CreateCredential(ctx, credentialSpec(credential))
	case 4, 5:
		if rnd.IntN(2) == 0 {
			credential = ""
		}
		_, err = tx.CreateTarget(ctx, targetSpec(target, credential))
	case 6, 7:
		_, err = tx.CreateGrant(ctx, manager.NewGrant{Consumer: consumer, Target: target, GrantSpec: manager.GrantSpec{Tools: []string{"x"}}})
	case 8, 9:
		_, err = tx.IssueToken(ctx, manager.TokenSpec{Consumer: consumer})
	case 10:
		_, err = tx.SetOverride(ctx, consumer, 0, target, credential)
	case 11:
		_, err = tx.SetConsumerState(ctx, consumer, 0, []snapshot.State{snapshot.Active, snapshot.Suspended}[rnd.IntN(2)])
	case 12:
		switch rnd.IntN(6) {
		case 0:
			err = tx.DeleteConsumer(ctx, consumer, 0)
		case 1:
			err = tx.DeleteTarget(ctx, target, 0)
		case 2:
			_, err = tx.RetireCredential(ctx, credential, 0)
		default: // comes and goes within one generation
			short := fmt.Sprintf("short-%d", i)
			if _, err = tx.CreateConsumer(ctx, consumerSpec(short)); err == nil {
				err = tx.DeleteConsumer(ctx, short, 0)
			}
		}
	case 13:
		var p manager.PolicyText
		p, err = tx.CreatePolicy(ctx, manager.PolicySpec{PolicySource: manager.PolicySource{Modules: map[string]string{"p.rego": fmt.Sprint(i)}}})
		if err == nil {
			_, err = tx.PublishPolicy(ctx, p.ID, 0, []byte{1})
		}
	}
	return err
}

func testNewEpoch(t *testing.T, f *fixture) {
	newWorld(t, f)
	before, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := changes(t, f, before.Epoch, before.Generation+1); d.Since != 0 {
		t.Errorf("changes since a generation to come: since %d, want a whole snapshot", d.Since)
	}
	epoch, err := f.NewEpoch(t.Context(), alice)
	if err != nil || epoch == before.Epoch {
		t.Fatalf("new epoch = %q, %v", epoch, err)
	}
	if d := changes(t, f, before.Epoch, before.Generation); d.Since != 0 || d.Epoch != epoch || len(d.Consumers) != 1 {
		t.Errorf("changes since another epoch: %+v, want a whole snapshot", d)
	}
}

// testManyChanges has more entries than a part, in few and in many generations:
// each must come once, and a small change alone.
func testManyChanges(t *testing.T, f *fixture) {
	const n = 700
	create := func(ctx context.Context, tx *store.Tx, first, end int) error {
		for i := first; i < end; i++ {
			if _, err := tx.CreateConsumer(ctx, consumerSpec(fmt.Sprintf("c-%04d", i))); err != nil {
				return err
			}
		}
		return nil
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return create(ctx, tx, 0, n/2) })
	for i := n / 2; i < n/2+10; i++ {
		f.must(t, func(ctx context.Context, tx *store.Tx) error { return create(ctx, tx, i, i+1) })
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return create(ctx, tx, n/2+10, n) })
	whole, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range whole.Consumers {
		seen[c.ID] = true
	}
	if len(whole.Consumers) != n || len(seen) != n {
		t.Errorf("%d consumers, %d of them different, want %d", len(whole.Consumers), len(seen), n)
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, "c-0003", 0, snapshot.Suspended)
		return err
	})
	if d := changes(t, f, whole.Epoch, whole.Generation); len(d.Consumers) != 1 || d.Consumers[0].ID != "c-0003" {
		t.Errorf("delta = %+v", d)
	}
}
