package store_test

import (
	"context"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
)

func issue(spec manager.TokenSpec) func(context.Context, *store.Tx) (manager.Issued[manager.Token], error) {
	return func(ctx context.Context, tx *store.Tx) (manager.Issued[manager.Token], error) {
		return tx.IssueToken(ctx, spec)
	}
}

func testTokens(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	s, err := f.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := token.Digest(w.token.Secret)
	if got := s.Consumers[0].Tokens[0]; got.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("token on the wire = %+v, want the digest of the one that was issued", got)
	}
	seen := start.Add(time.Minute)
	if err := f.SeenTokens(t.Context(), map[string]time.Time{w.token.Object.ID: seen, "tk-unknown": seen}); err != nil {
		t.Fatal(err)
	}
	if err := f.SeenTokens(t.Context(), map[string]time.Time{w.token.Object.ID: start}); err != nil { // late news
		t.Fatal(err)
	}
	got, err := f.Token(t.Context(), w.token.Object.ID)
	if err != nil || !got.LastUsed.Equal(seen) || got.Version != 1 {
		t.Errorf("token = %+v, %v, want last used %v and the same version", got, err, seen)
	}
	for before, want := range map[time.Time]int{start: 0, start.Add(time.Second): 1} {
		if old, err := f.Tokens(t.Context(), store.TokenFilter{Before: before}, manager.Page{}); err != nil || len(old.Items) != want {
			t.Errorf("issued before %v: %+v, %v; want %d", before, old.Items, err, want)
		}
	}
	revoked := get(t, f, func(ctx context.Context, tx *store.Tx) (manager.Token, error) {
		return tx.RevokeToken(ctx, w.token.Object.ID, got.Version)
	})
	if !revoked.Revoked {
		t.Errorf("revoked token = %+v", revoked)
	}
	if s, err = f.Snapshot(t.Context()); err != nil || !s.Consumers[0].Tokens[0].Revoked {
		t.Errorf("revoked token on the wire = %+v, %v", s.Consumers[0].Tokens, err)
	}
	for _, spec := range []manager.TokenSpec{
		{Consumer: "nobody"},
		{Consumer: w.consumer.ID, Expires: start.Add(-time.Hour)},
		{Consumer: w.consumer.ID, Note: "a\x1b[31mb"},
	} {
		f.fails(t, manager.ErrInvalid, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.IssueToken(ctx, spec)
			return err
		})
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, w.consumer.ID, 0, snapshot.Revoked)
		return err
	})
	f.fails(t, manager.ErrState, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.IssueToken(ctx, manager.TokenSpec{Consumer: w.consumer.ID})
		return err
	})
}

func testTokenBound(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	spec := manager.TokenSpec{Consumer: w.consumer.ID}
	for range manager.MaxTokensPerConsumer - 1 {
		get(t, f, issue(spec))
	}
	f.fails(t, manager.ErrLimit, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.IssueToken(ctx, spec)
		return err
	})
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RevokeToken(ctx, w.token.Object.ID, 0)
		return err
	})
	get(t, f, issue(spec)) // takes the place of the revoked one
	if _, err := f.Token(t.Context(), w.token.Object.ID); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("the revoked token: %v, want %v", err, manager.ErrNotFound)
	}
}

func testRotateToken(t *testing.T, f *fixture) {
	w := newWorld(t, f)
	rotate := func(id string, r manager.TokenRotation) func(context.Context, *store.Tx) (manager.Issued[manager.Token], error) {
		return func(ctx context.Context, tx *store.Tx) (manager.Issued[manager.Token], error) {
			return tx.RotateToken(ctx, id, 0, r)
		}
	}
	next := get(t, f, rotate(w.token.Object.ID, manager.TokenRotation{OverlapSeconds: 3600}))
	old, err := f.Token(t.Context(), w.token.Object.ID)
	if err != nil || old.ReplacedBy != next.Object.ID || !old.Expires.Equal(start.Add(time.Hour)) || !old.Live(start) {
		t.Errorf("the old token is %+v, %v, want it to live for an hour", old, err)
	}
	still, err := f.Tokens(t.Context(), store.TokenFilter{Replaced: true}, manager.Page{})
	if err != nil || len(still.Items) != 1 || still.Items[0].ID != old.ID {
		t.Errorf("tokens in their overlap = %+v, %v", still.Items, err)
	}
	f.fails(t, manager.ErrState, func(ctx context.Context, tx *store.Tx) error { // once is enough
		_, err := rotate(old.ID, manager.TokenRotation{})(ctx, tx)
		return err
	})
	f.advance(time.Hour)
	if still, err = f.Tokens(t.Context(), store.TokenFilter{Consumer: w.consumer.ID, Replaced: true}, manager.Page{}); err != nil || len(still.Items) != 0 {
		t.Errorf("after the overlap: %+v, %v", still.Items, err)
	}
	last := get(t, f, rotate(next.Object.ID, manager.TokenRotation{}))
	if gone, err := f.Token(t.Context(), next.Object.ID); err != nil || gone.Live(f.clock()) {
		t.Errorf("rotated without overlap: %+v, %v, want it ended", gone, err)
	}
	short := get(t, f, issue(manager.TokenSpec{Consumer: w.consumer.ID, Expires: f.clock().Add(time.Minute)}))
	if next := get(t, f, rotate(short.Object.ID, manager.TokenRotation{OverlapSeconds: 3600})); !next.Object.Expires.Equal(f.clock().Add(time.Minute)) {
		t.Errorf("the successor of a token for a minute ends at %v", next.Object.Expires)
	}
	if got, err := f.Token(t.Context(), short.Object.ID); err != nil || !got.Expires.Equal(short.Object.Expires) {
		t.Errorf("the overlap lengthened a token's life to %v, %v", got.Expires, err)
	}
	if !last.Object.Expires.IsZero() {
		t.Errorf("the successor of a token without an end ends at %v", last.Object.Expires)
	}
}

func testAdminTokens(t *testing.T, f *fixture) {
	admin := func(spec manager.AdminTokenSpec) manager.Issued[manager.AdminToken] {
		return get(t, f, func(ctx context.Context, tx *store.Tx) (manager.Issued[manager.AdminToken], error) {
			return tx.IssueAdminToken(ctx, spec)
		})
	}
	first := admin(manager.AdminTokenSpec{Name: "alice", Role: manager.Admin})
	short := admin(manager.AdminTokenSpec{Name: "bob", Role: manager.Operator, Expires: start.Add(time.Hour)})
	who, err := f.Authenticate(t.Context(), short.Secret)
	if want := (manager.Actor{ID: short.Object.ID, Name: "bob", Role: manager.Operator}); err != nil || who != want {
		t.Errorf("authenticate = %+v, %v, want %+v", who, err, want)
	}
	f.advance(time.Hour)
	if _, err := f.Authenticate(t.Context(), short.Secret); !errors.Is(err, manager.ErrForbidden) {
		t.Errorf("an ended token: %v, want %v", err, manager.ErrForbidden)
	}
	if _, err := f.Authenticate(t.Context(), ""); !errors.Is(err, manager.ErrForbidden) {
		t.Errorf("no token: %v, want %v", err, manager.ErrForbidden)
	}
	remove := func(id string) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error { return tx.DeleteAdminToken(ctx, id, 0) }
	}
	f.fails(t, manager.ErrState, remove(first.Object.ID)) // nobody could make another
	f.must(t, remove(short.Object.ID))
	second := admin(manager.AdminTokenSpec{Name: "carol", Role: manager.Admin})
	f.must(t, remove(first.Object.ID))
	if _, err := f.Authenticate(t.Context(), first.Secret); !errors.Is(err, manager.ErrForbidden) {
		t.Errorf("a deleted token: %v, want %v", err, manager.ErrForbidden)
	}
	l, err := f.AdminTokens(t.Context(), manager.Page{})
	if err != nil || len(l.Items) != 1 || l.Items[0].ID != second.Object.ID {
		t.Errorf("admin tokens = %+v, %v", l.Items, err)
	}
}

func testBootstrap(t *testing.T, f *fixture) {
	first, ok, err := f.Bootstrap(t.Context())
	if err != nil || !ok {
		t.Fatalf("bootstrap = %v, %v", ok, err)
	}
	if who, err := f.Authenticate(t.Context(), first.Secret); err != nil || who.Role != manager.Admin {
		t.Errorf("the first token is %+v, %v", who, err)
	}
	if _, ok, err := f.Bootstrap(t.Context()); err != nil || ok {
		t.Errorf("second bootstrap = %v, %v, want none", ok, err)
	}
}
