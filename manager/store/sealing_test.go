package store_test

import (
	"context"
	"testing"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/seal"
	"keyward/plugins/snapshot"
)

func newSealingKey(t *testing.T) *seal.PublicKey {
	t.Helper()
	k, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k.Public()
}

func sealedTo(t *testing.T, keys ...*seal.PublicKey) manager.CredentialSealed {
	t.Helper()
	secret, err := seal.NewSecret([]byte("a-real-key"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := manager.SealTo(keys, "github-2", 1, snapshot.Upstream{Hosts: []string{"api.github.com"}}, secret)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testSealingKeys(t *testing.T, f *fixture) {
	w := newWorld(t, f) // its credential is sealed to a key that nobody knows
	first, second := newSealingKey(t), newSealingKey(t)
	add := func(k *seal.PublicKey) func(context.Context, *store.Tx) (manager.SealingKey, error) {
		return func(ctx context.Context, tx *store.Tx) (manager.SealingKey, error) {
			return tx.AddSealingKey(ctx, manager.SealingKeySpec{Public: k.String(), Note: "edge"})
		}
	}
	remove := func(k *seal.PublicKey) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error { return tx.RemoveSealingKey(ctx, k.ID(), 0) }
	}
	if k := get(t, f, add(first)); k.ID != first.ID() || k.Public != first.String() || k.Sealed != 0 || k.Missing != 1 {
		t.Errorf("a new key is %+v", k)
	}
	f.fails(t, manager.ErrExists, func(ctx context.Context, tx *store.Tx) error {
		_, err := add(first)(ctx, tx)
		return err
	})
	f.fails(t, manager.ErrInvalid, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.AddSealingKey(ctx, manager.SealingKeySpec{Public: first.String() + "x"})
		return err
	})
	enrol := func(keys ...*seal.PublicKey) func(ctx context.Context, tx *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.CreateCredential(ctx, manager.CredentialSpec{ID: "github-2", CredentialSealed: sealedTo(t, keys...)})
			return err
		}
	}
	f.fails(t, manager.ErrInvalid, enrol(first, second))
	f.must(t, enrol(first))
	get(t, f, add(second))
	l, err := f.SealingKeys(t.Context(), manager.Page{})
	if err != nil || len(l.Items) != 2 {
		t.Fatalf("keys = %+v, %v", l, err)
	}
	for _, k := range l.Items {
		if want := map[string]int64{first.ID(): 1, second.ID(): 0}[k.ID]; k.Sealed != want || k.Missing != 2-want {
			t.Errorf("%d credentials are sealed to %s, %d not, want %d", k.Sealed, k.ID, k.Missing, want)
		}
	}
	f.fails(t, manager.ErrState, remove(first))
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RotateCredential(ctx, "github-2", 0, manager.CredentialRotation{Number: 2, CredentialSealed: sealedTo(t, first, second)})
		return err
	})
	f.must(t, remove(first))
	f.fails(t, manager.ErrNotFound, remove(first))
	f.fails(t, manager.ErrState, remove(second))
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.RetireCredential(ctx, "github-2", 0)
		return err
	})
	f.must(t, remove(second))
	if c, err := f.Credential(t.Context(), w.credential.ID); err != nil || c.Version != w.credential.Version {
		t.Errorf("another credential was touched: %+v, %v", c, err)
	}
}
