package store

import (
	"context"

	"keyward/manager"
)

// Names of the keys that all Managers of a store share.
const (
	KeyGateways = "gateways" // signs answers to gateways
	KeyLog      = "log"      // signs checkpoints of the log
)

// ClaimKey makes public the key of this name if the store knows none, and returns
// the one that it knows. A Manager with another must not serve: gateways would
// refuse its answers, and auditors its checkpoints.
func (s *Store) ClaimKey(ctx context.Context, name, public string) (known string, err error) {
	_, err = s.Mutate(ctx, Mutation{By: manager.Self}, func(t *Tx) error {
		if known, err = t.key(ctx, name); err != nil || known != "" {
			return err
		}
		known = public
		return t.setKey(ctx, name, "", public)
	})
	return known, err
}

// ReplaceKey makes public the key of this name, whatever it was, and returns that;
// empty: none.
func (s *Store) ReplaceKey(ctx context.Context, name, public string) (was string, err error) {
	_, err = s.Mutate(ctx, Mutation{By: manager.Self}, func(t *Tx) error {
		if was, err = t.key(ctx, name); err != nil || was == public {
			return err
		}
		return t.setKey(ctx, name, was, public)
	})
	return was, err
}

func (t *Tx) key(ctx context.Context, name string) (public string, err error) {
	err = t.q.QueryRowContext(ctx, `SELECT public FROM manager_keys WHERE name = $1`, name).Scan(&public)
	if noRows(err) {
		err = nil
	}
	return public, err
}

func (t *Tx) setKey(ctx context.Context, name, before, after string) error {
	_, err := t.exec(ctx, `INSERT INTO manager_keys (name, public) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET public = excluded.public`, name, after)
	if err != nil {
		return err
	}
	var was any
	if before != "" {
		was = before
	}
	return t.record(ctx, manager.KindStore, "set-key", name, was, after)
}
