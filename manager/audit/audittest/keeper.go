package audittest

import (
	"testing"

	"keyward/manager/audit"
	"keyward/manager/store"
)

// NewKey returns a new key that signs a log.
func NewKey(t testing.TB) *audit.Key {
	t.Helper()
	private, public, err := audit.NewKey("keyward.example/log")
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.ParseKey(private, public)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// NewKeeper returns the keeper of a store's log, with a new key.
func NewKeeper(t testing.TB, s *store.Store) *audit.Keeper {
	t.Helper()
	k, err := audit.NewKeeper(s, NewKey(t), audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}
