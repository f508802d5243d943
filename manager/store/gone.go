package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"keyward/manager"
)

// An instance is a process of a gateway.
type instance struct{ gateway, id string }

// EndGateways notes in the log which instances of gateways were not heard of since
// an instant, once each: what their VMs decided after the last record that came, if
// anything, the log does not have. It returns how many entries that made.
func (s *Store) EndGateways(ctx context.Context, since time.Time) (int, error) {
	var some bool
	err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM gateway_instances WHERE ended = 0 AND last_seen < $1)`,
		since.UnixMilli()).Scan(&some)
	if err != nil || !some {
		return 0, err
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() // after a commit it does nothing
	a, err := beginAppend(ctx, tx, s.insertOne)
	if err != nil {
		return 0, err
	}
	gone, err := rowsOf(ctx, tx, `UPDATE gateway_instances SET ended = 1 WHERE ended = 0 AND last_seen < $1 RETURNING gateway, id`,
		[]any{since.UnixMilli()}, func(rows *sql.Rows, x *instance) error { return rows.Scan(&x.gateway, &x.id) })
	if err != nil {
		return 0, err
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	for _, x := range gone {
		// The name of a VM begins with its instance and a dot, which '/' follows.
		vms, err := rowsOf(ctx, tx, `SELECT vm, MAX(sequence) FROM log WHERE gateway = $1 AND vm > $2 AND vm < $3 AND sequence > 0
			GROUP BY vm ORDER BY vm`, []any{x.gateway, x.id + ".", x.id + "/"},
			func(rows *sql.Rows, v *vmEnd) error { return rows.Scan(&v.name, &v.last) })
		if err != nil {
			return 0, err
		}
		for _, v := range vms {
			err := a.add(manager.Entry{
				Kind: manager.EntryGap, Time: now, Gateway: x.gateway, VM: v.name,
				Gap: &manager.Gap{First: v.last + 1, Last: v.last + 1, Open: true},
			})
			if err != nil {
				return 0, err
			}
		}
	}
	if a.n > 0 {
		if err := a.commit(ctx); err != nil {
			return 0, err
		}
		if err := s.notify(ctx, tx, notifyLog); err != nil {
			return 0, fmt.Errorf("store: notify: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("store: commit: %w", err)
	}
	s.logged.give()
	return int(a.n), nil
}

// A vmEnd is a VM and its last record.
type vmEnd struct {
	name string
	last uint64
}

// rowsOf reads all rows of a query.
func rowsOf[T any](ctx context.Context, q queryer, query string, args []any, scan func(*sql.Rows, *T) error) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		var x T
		if err := scan(rows, &x); err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, rows.Err()
}
