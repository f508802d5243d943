package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
)

func testMutations(t *testing.T, f *fixture) {
	status := func() manager.Status {
		st, err := f.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	if st := status(); st.Generation != 1 || st.Epoch == "" || st.Policy != "" {
		t.Fatalf("a new store has status %+v, want generation 1, an epoch and no policy", st)
	}
	var c manager.Consumer
	gen := f.must(t, func(ctx context.Context, tx *store.Tx) (err error) {
		c, err = tx.CreateConsumer(ctx, consumerSpec("alice-bot"))
		return err
	})
	if gen != 2 || c.Generation != 2 || c.Version != 1 || !c.Created.Equal(start) {
		t.Errorf("generation %d, consumer %+v; want generation 2, version 1, created at %v", gen, c, start)
	}
	l, err := f.Events(t.Context(), store.EventFilter{Kind: manager.KindConsumer}, manager.Page{})
	if err != nil || len(l.Items) != 1 {
		t.Fatalf("events = %+v, %v, want one", l, err)
	}
	want := manager.Event{
		Generation: 2, Time: start, Actor: alice.By, Action: "consumer.create",
		Kind: manager.KindConsumer, Object: "alice-bot", After: l.Items[0].After, Request: "req-1",
	}
	if diff := cmp.Diff(want, l.Items[0]); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if len(l.Items[0].After) != 64 {
		t.Errorf("digest after = %q, want 64 hex digits", l.Items[0].After)
	}
}

func testFailedMutation(t *testing.T, f *fixture) {
	boom := errors.New("boom")
	f.fails(t, boom, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.CreateConsumer(ctx, consumerSpec("alice-bot")); err != nil {
			return err
		}
		return boom
	})
	if _, err := f.Consumer(t.Context(), "alice-bot"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("consumer of a failed mutation: %v, want %v", err, manager.ErrNotFound)
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = f.try(t, func(ctx context.Context, tx *store.Tx) error {
			_, _ = tx.CreateConsumer(ctx, consumerSpec("alice-bot"))
			panic("boom")
		})
	}()
	if _, err := f.Consumer(t.Context(), "alice-bot"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("consumer of a mutation that panicked: %v, want %v", err, manager.ErrNotFound)
	}
}

func testNothingChanged(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	before, err := f.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gen := f.must(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, w.consumer.ID, 0, snapshot.Active)
		return err
	})
	if gen != before.Generation {
		t.Errorf("resuming an active consumer makes generation %d, want the present %d", gen, before.Generation)
	}
}

func testLostUpdate(t *testing.T, f *fixture) {
	newWorld(t, f)
	c, err := f.Consumer(t.Context(), "alice-bot")
	if err != nil {
		t.Fatal(err)
	}
	label := func(v string) func(ctx context.Context, tx *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.UpdateConsumer(ctx, c.ID, c.Version, manager.ConsumerUpdate{Labels: map[string]string{"by": v}})
			return err
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() { _, errs[i] = f.try(t, label(fmt.Sprint(i))) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("two writers of one version got %v and %v, want one of them refused", errs[0], errs[1])
	}
	if err := errors.Join(errs...); !errors.Is(err, manager.ErrVersion) {
		t.Errorf("the loser got %v, want %v", err, manager.ErrVersion)
	}
	f.fails(t, manager.ErrVersion, label("late"))
}

func testConcurrentMutations(t *testing.T, f *fixture) {
	const writers, each = 4, 10
	var mu sync.Mutex
	seen := map[uint64]bool{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				gen, err := f.try(t, func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.CreateConsumer(ctx, consumerSpec(fmt.Sprintf("c-%d-%d", w, i)))
					return err
				})
				mu.Lock()
				if err != nil || seen[gen] {
					t.Errorf("generation %d (seen: %v), %v", gen, seen[gen], err)
				}
				seen[gen] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for gen := uint64(2); gen < 2+writers*each; gen++ {
		if !seen[gen] {
			t.Errorf("generation %d is missing", gen)
		}
	}
}

func testEvents(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return tx.RevokeGrant(ctx, w.grant.ID, 0) })
	all, err := f.Events(t.Context(), store.EventFilter{}, manager.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all.Items {
		got = append(got, fmt.Sprintf("%d.%d %s", e.Generation, e.Part, e.Action))
	}
	want := []string{
		"1.0 store.create", "2.0 consumer.create", "2.1 token.issue", "2.2 credential.enrol",
		"2.3 target.create", "2.4 grant.create", "3.0 grant.revoke",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	created, revoked := all.Items[5], all.Items[6]
	if created.After != revoked.Before || revoked.After != "" || created.Before != "" {
		t.Errorf("the digest after a change is not the one before the next: %+v, %+v", created, revoked)
	}
	var paged []string
	for page := (manager.Page{Limit: 2}); ; {
		l, err := f.Events(t.Context(), store.EventFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Items {
			paged = append(paged, fmt.Sprintf("%d.%d %s", e.Generation, e.Part, e.Action))
		}
		if page.After = l.After; page.After == "" {
			break
		}
	}
	if diff := cmp.Diff(want, paged); diff != "" {
		t.Errorf("events by pages (-want +got):\n%s", diff)
	}
	if l, err := f.Events(t.Context(), store.EventFilter{Object: w.grant.ID}, manager.Page{}); err != nil || len(l.Items) != 2 {
		t.Errorf("events of one object = %+v, %v, want 2", l.Items, err)
	}
	if l, err := f.Events(t.Context(), store.EventFilter{Actor: "nobody"}, manager.Page{}); err != nil || len(l.Items) != 0 {
		t.Errorf("events by nobody = %+v, %v, want none", l.Items, err)
	}
	for _, after := range []string{"x", "-1", "1.0", "99999999999999999999"} {
		if _, err := f.Events(t.Context(), store.EventFilter{}, manager.Page{After: after}); !errors.Is(err, manager.ErrInvalid) {
			t.Errorf("events after %q: %v, want %v", after, err, manager.ErrInvalid)
		}
	}
}

func testPages(t *testing.T, f *fixture) {
	const n = 25
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		for i := range n {
			if _, err := tx.CreateConsumer(ctx, consumerSpec(fmt.Sprintf("c-%02d", i))); err != nil {
				return err
			}
		}
		return nil
	})
	var ids []string
	for page := (manager.Page{Limit: 10}); ; {
		l, err := f.Consumers(t.Context(), "", page)
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Items) > 10 {
			t.Fatalf("a page of 10 has %d items", len(l.Items))
		}
		for _, c := range l.Items {
			ids = append(ids, c.ID)
		}
		if page.After = l.After; page.After == "" {
			break
		}
	}
	if len(ids) != n || ids[0] != "c-00" || ids[n-1] != "c-24" {
		t.Errorf("pages gave %d ids: %v", len(ids), ids)
	}
	l, err := f.Consumers(t.Context(), "", manager.Page{Limit: 1 << 30})
	if err != nil || len(l.Items) != n {
		t.Errorf("a huge limit gave %d items, %v", len(l.Items), err)
	}
}

func testAnswers(t *testing.T, f *fixture) {
	a := store.Answer{ID: "id", Fingerprint: "print", Sealed: []byte{0, 1, 255}}
	keep := func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.CreateConsumer(ctx, consumerSpec("alice-bot")); err != nil {
			return err
		}
		return tx.KeepAnswer(ctx, a)
	}
	look := func(fingerprint string) (store.Answer, error) {
		var got store.Answer
		_, err := f.try(t, func(ctx context.Context, tx *store.Tx) (err error) {
			got, err = tx.Answered(ctx, "id", fingerprint)
			return err
		})
		return got, err
	}
	if _, err := look("print"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("before: %v, want %v", err, manager.ErrNotFound)
	}
	f.must(t, keep)
	if got, err := look("print"); err != nil || !bytes.Equal(got.Sealed, a.Sealed) {
		t.Errorf("kept answer = %+v, %v, want %+v", got, err, a)
	}
	if _, err := look("other"); !errors.Is(err, manager.ErrKeyReused) {
		t.Errorf("another request with the key: %v, want %v", err, manager.ErrKeyReused)
	}
	f.advance(store.AnswerLife)
	if _, err := look("print"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("after its life: %v, want %v", err, manager.ErrNotFound)
	}
}

func testMigrations(t *testing.T, f *fixture) {
	newWorld(t, f)
	if err := f.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.MigrateDown(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Ready(t.Context()); err == nil {
		t.Error("a store without schema says that it is ready")
	}
	again, err := store.Open(t.Context(), f.dsn, f.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	f.Store = again
	newWorld(t, f)
}

func testReopen(t *testing.T, f *fixture) {
	newWorld(t, f)
	before, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := store.Open(t.Context(), f.dsn, f.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	after, err := again.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("reopened (-before +after):\n%s", diff)
	}
}

// testNoSecrets looks for every secret that was ever handed out in what the
// database wrote to disk.
func testNoSecrets(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	secrets := []string{w.token.Secret}
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		r, err := tx.RotateToken(ctx, w.token.Object.ID, 0, manager.TokenRotation{})
		if err != nil {
			return err
		}
		a, err := tx.IssueAdminToken(ctx, manager.AdminTokenSpec{Name: "alice", Role: manager.Admin})
		if err != nil {
			return err
		}
		g, err := tx.CreateGateway(ctx, manager.GatewaySpec{ID: "gw-1"})
		secrets = append(secrets, r.Secret, a.Secret, g.Secret)
		return err
	})
	if !token.Valid(secrets[1]) || !manager.ValidSecret(manager.AdminPrefix, secrets[2]) || !manager.ValidSecret(manager.GatewayPrefix, secrets[3]) {
		t.Errorf("issued secrets do not have their form")
	}
	if s := fmt.Sprintf("%v %+v %#v", w.token, w.token, w.token); strings.Contains(s, w.token.Secret) {
		t.Errorf("an issued token prints its secret")
	}
	if strings.HasPrefix(f.dsn, "postgres:") {
		return // the same rows; its files are the server's
	}
	files, err := filepath.Glob(f.dsn + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("files = %v, %v, want the database and its log", files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range secrets {
			if bytes.Contains(b, []byte(s)) || bytes.Contains(b, []byte(s[4:20])) {
				t.Errorf("%s holds a secret in clear", filepath.Base(name))
			}
		}
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v, %v", filepath.Base(name), st.Mode(), err)
		}
	}
}
