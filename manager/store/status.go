package store

import (
	"context"
	"errors"

	"keyward/manager"
)

// state reads epoch, generation and live policy.
func (r reader) state(ctx context.Context) (manager.Status, error) {
	var s manager.Status
	err := r.q.QueryRowContext(ctx, `SELECT epoch, generation, policy FROM state WHERE one = 1`).
		Scan(&s.Epoch, &s.Generation, &s.Policy)
	return s, err
}

// Generation returns the epoch and generation of the store, and its live policy.
func (s *Store) Generation(ctx context.Context) (manager.Status, error) { return s.reader.state(ctx) }

// Status returns the state of the store as a whole.
func (s *Store) Status(ctx context.Context) (manager.Status, error) {
	var st manager.Status
	err := s.view(ctx, func(r reader) (err error) {
		st, err = r.Counts(ctx)
		return err
	})
	return st, err
}

// Counts is [Store.Status] within a transaction.
func (r reader) Counts(ctx context.Context) (manager.Status, error) {
	st, err := r.state(ctx)
	if err != nil {
		return st, err
	}
	err = r.q.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM consumers), (SELECT COUNT(*) FROM targets),
			(SELECT COUNT(*) FROM grants), (SELECT COUNT(*) FROM gateways)`).
		Scan(&st.Consumers, &st.Targets, &st.Grants, &st.Gateways)
	return st, err
}

// NewEpoch begins a new epoch, for a store that was restored: gateways may have
// seen generations that it lost, and must take a whole snapshot.
func (s *Store) NewEpoch(ctx context.Context, m Mutation) (epoch string, err error) {
	_, err = s.Mutate(ctx, m, func(t *Tx) error {
		st, err := t.state(ctx)
		if err != nil {
			return err
		}
		if epoch, err = manager.NewID("", t.at, t.random); err != nil {
			return err
		}
		if epoch == st.Epoch {
			return errors.New("store: random source repeats itself")
		}
		if _, err := t.exec(ctx, `UPDATE state SET epoch = $1 WHERE one = 1`, epoch); err != nil {
			return err
		}
		return t.record(ctx, manager.KindStore, "new-epoch", epoch, st.Epoch, epoch)
	})
	return epoch, err
}
