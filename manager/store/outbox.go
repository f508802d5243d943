package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"keyward/manager"
)

// ErrPosted reports that another Manager filled the outbox meanwhile.
var ErrPosted = errors.New("store: the log was read further by another Manager")

// Posted is the position in the log up to which the outbox is filled.
func (r reader) Posted(ctx context.Context) (uint64, error) {
	var n uint64
	err := r.q.QueryRowContext(ctx, `SELECT read FROM matrix_state WHERE one = 1`).Scan(&n)
	return n, err
}

// Shown is the position of the first entry that rooms may not show yet.
func (r reader) Shown(ctx context.Context) (uint64, error) {
	var n uint64
	err := r.q.QueryRowContext(ctx, `SELECT COALESCE((SELECT MIN(position) FROM outbox), (SELECT read FROM matrix_state WHERE one = 1))`).Scan(&n)
	return n, err
}

// maxPostings is how many rows one statement inserts.
const maxPostings = 500

// Post fills the outbox with what rooms show of the entries of the log between
// two positions, once.
func (s *Store) Post(ctx context.Context, from, to uint64, postings []manager.Posting) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit it does nothing
	res, err := tx.ExecContext(ctx, `UPDATE matrix_state SET read = $1 WHERE one = 1 AND read = $2`, to, from)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrPosted, err)
	}
	for len(postings) > 0 {
		chunk := postings[:min(len(postings), maxPostings)]
		postings = postings[len(chunk):]
		args := make([]any, 0, 4*len(chunk))
		for _, p := range chunk {
			args = append(args, p.Room, string(p.Lane), p.Position, milli{&p.Due})
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO outbox (room, lane, position, due) VALUES `+marks(len(chunk), 4), args...); err != nil {
			return fmt.Errorf("store: outbox: %w", err)
		}
	}
	return tx.Commit()
}

// DueQueues returns the queues that have something to send by an instant.
func (r reader) DueQueues(ctx context.Context, by time.Time) ([]manager.Queue, error) {
	rows, err := r.q.QueryContext(ctx, `SELECT room, lane FROM outbox GROUP BY room, lane HAVING MIN(due) <= $1 ORDER BY MIN(position)`, by.UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []manager.Queue
	for rows.Next() {
		var q manager.Queue
		if err := rows.Scan(&q.Room, &q.Lane); err != nil {
			return nil, err
		}
		list = append(list, q)
	}
	return list, rows.Err()
}

// Waiting is how many entries wait for rooms, and since when the oldest does;
// the zero time: none waits.
func (r reader) Waiting(ctx context.Context) (n int64, since time.Time, err error) {
	err = r.q.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(MIN(l.time), 0) FROM outbox o JOIN log l ON l.position = o.position`).
		Scan(&n, milli{&since})
	return n, since, err
}

// Queued returns the first entries of a queue, up to limit and, unless it is
// empty, within the range that is being sent.
func (r reader) Queued(ctx context.Context, q manager.Queue, limit int) ([]manager.LogEntry, *manager.Range, error) {
	sending := new(manager.Range)
	err := r.q.QueryRowContext(ctx, `SELECT first, last, since FROM outbox_sending WHERE room = $1 AND lane = $2`, q.Room, string(q.Lane)).
		Scan(&sending.First, &sending.Last, milli{&sending.Since})
	switch {
	case noRows(err):
		sending = nil
	case err != nil:
		return nil, nil, err
	}
	where, args := `position IN (SELECT position FROM outbox WHERE room = $1 AND lane = $2)`, []any{q.Room, string(q.Lane)}
	if sending != nil {
		where += fmt.Sprintf(` AND position <= $%d`, len(args)+1)
		args = append(args, sending.Last)
	}
	where += fmt.Sprintf(` ORDER BY position LIMIT $%d`, len(args)+1)
	list, err := r.logEntries(ctx, where, append(args, limit)...)
	return list, sending, err
}

// Sending keeps the range of a message before it is sent for the first time.
func (s *Store) Sending(ctx context.Context, q manager.Queue, r manager.Range) error {
	return s.observe(ctx, func(exec execFunc) error {
		return exec(`INSERT INTO outbox_sending (room, lane, first, last, since) VALUES ($1, $2, $3, $4, $5)`,
			q.Room, string(q.Lane), r.First, r.Last, s.now().UnixMilli())
	})
}

// Sent takes what a message shows out of its queue.
func (s *Store) Sent(ctx context.Context, q manager.Queue, last uint64) error {
	return s.observe(ctx, func(exec execFunc) error {
		if err := exec(`DELETE FROM outbox WHERE room = $1 AND lane = $2 AND position <= $3`, q.Room, string(q.Lane), last); err != nil {
			return err
		}
		return exec(`DELETE FROM outbox_sending WHERE room = $1 AND lane = $2`, q.Room, string(q.Lane))
	})
}
