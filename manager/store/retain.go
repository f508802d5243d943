package store

import (
	"context"
	"time"

	"keyward/manager"
)

// Retain drops the text of records that were stored before an instant, but none
// from a position on that somebody still needs; see [Tx.DropBodies]. It returns the
// position of the first entry that keeps its text; 0: nothing was dropped.
func (s *Store) Retain(ctx context.Context, before time.Time, needed uint64) (uint64, error) {
	var position uint64
	err := s.read.QueryRowContext(ctx, `SELECT COALESCE((SELECT MIN(position) FROM log WHERE time >= $1), (SELECT size FROM log_head))`,
		before.UnixMilli()).Scan(&position)
	if err != nil {
		return 0, err
	}
	position = min(position, needed)
	var some bool
	err = s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM log WHERE position < $1 AND noun = '' AND body <> '')`, position).Scan(&some)
	if err != nil || !some {
		return 0, err
	}
	_, err = s.Mutate(ctx, Mutation{By: manager.Self}, func(tx *Tx) error { return tx.DropBodies(ctx, position) })
	return position, err
}
