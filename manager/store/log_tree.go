package store

import (
	"context"
	"encoding/base64"
	"fmt"

	"keyward/manager"
)

// LogHashes returns the leaf hashes of n entries from a position on, which must
// all be there.
func (r reader) LogHashes(ctx context.Context, from uint64, n int) ([][32]byte, error) {
	list, err := r.hashes(ctx, `SELECT position, hash FROM log WHERE position >= $1 ORDER BY position LIMIT $2`, from, n)
	if err == nil && len(list) != n {
		err = fmt.Errorf("store: the log has %d of %d entries from position %d on", len(list), n, from)
	}
	return list, err
}

// LogNodes returns those of n inner hashes of one level of the log's tree, from a
// number on, that were kept before the first one that was not.
func (r reader) LogNodes(ctx context.Context, level int, from uint64, n int) ([][32]byte, error) {
	return r.hashes(ctx, `SELECT number, hash FROM log_nodes WHERE number >= $1 AND level = $3 ORDER BY number LIMIT $2`, from, n, level)
}

// hashes reads numbered hashes; the first two args are the first number and how
// many are wanted. It stops where a number is missing.
func (r reader) hashes(ctx context.Context, query string, args ...any) ([][32]byte, error) {
	rows, err := r.q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := make([][32]byte, 0, args[1].(int))
	for want := args[0].(uint64); rows.Next(); want++ {
		var number uint64
		var text string
		if err := rows.Scan(&number, &text); err != nil {
			return nil, err
		}
		if number != want {
			break
		}
		h, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(h) != 32 {
			return nil, fmt.Errorf("store: hash %d of the log can't be read", number)
		}
		list = append(list, [32]byte(h))
	}
	return list, rows.Err()
}

// A LogNode is an inner hash of the log's tree.
type LogNode struct {
	Level  int
	Number uint64
	Hash   [32]byte
}

// SaveCheckpoint keeps a checkpoint, and inner hashes that were made on the way
// to it. Of two for the same size the first is kept.
func (s *Store) SaveCheckpoint(ctx context.Context, c manager.Checkpoint, nodes []LogNode) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit it does nothing
	for _, n := range nodes {
		_, err := tx.ExecContext(ctx, `INSERT INTO log_nodes (level, number, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			n.Level, n.Number, base64.StdEncoding.EncodeToString(n.Hash[:]))
		if err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO log_checkpoints (size, time, note) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		c.Size, milli{&c.Time}, c.Note)
	if err != nil {
		return err
	}
	if err := s.notify(ctx, tx, notifyLog); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.logged.give()
	return nil
}

// Checkpoints returns up to limit checkpoints of more than after entries, the
// smallest first. A new one gives [Store.Logged].
func (r reader) Checkpoints(ctx context.Context, after uint64, limit int) ([]manager.Checkpoint, error) {
	return r.checkpoints(ctx, `size > $1 ORDER BY size LIMIT $2`, after, limit)
}

// LastCheckpoint returns the largest checkpoint, or [manager.ErrNotFound].
func (r reader) LastCheckpoint(ctx context.Context) (manager.Checkpoint, error) {
	list, err := r.checkpoints(ctx, `1 = 1 ORDER BY size DESC LIMIT 1`)
	if err == nil && len(list) == 0 {
		err = errNoCheckpoint
	}
	if err != nil {
		return manager.Checkpoint{}, err
	}
	return list[0], nil
}

var errNoCheckpoint = fmt.Errorf("checkpoint %w", manager.ErrNotFound)

func (r reader) checkpoints(ctx context.Context, where string, args ...any) ([]manager.Checkpoint, error) {
	rows, err := r.q.QueryContext(ctx, `SELECT size, time, note FROM log_checkpoints WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []manager.Checkpoint
	for rows.Next() {
		var c manager.Checkpoint
		if err := rows.Scan(&c.Size, milli{&c.Time}, &c.Note); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// DropBodies takes away the texts of records before a position; their hashes
// stay, so that what is left can still be proved. Actions stay whole. It is
// itself an action, without which a missing text counts as tampering.
func (t *Tx) DropBodies(ctx context.Context, before uint64) error {
	size, err := t.LogSize(ctx)
	if err != nil {
		return err
	}
	if before == 0 || before > size {
		return &manager.FieldError{Field: "before", Why: fmt.Sprintf("must be 1 to %d, the size of the log", size)}
	}
	_, err = t.exec(ctx, `UPDATE log SET body = '', id = '', consumer = '', target = '', method = '', name = '', verdict = '',
		reason = '', rules = '' WHERE position < $1 AND noun = '' AND body <> ''`, before)
	if err != nil {
		return err
	}
	return t.record(ctx, manager.KindLog, "drop", fmt.Sprint(before), nil, nil)
}
