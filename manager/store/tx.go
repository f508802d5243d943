package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"keyward/manager"
)

// A Tx is one mutation on its way: a transaction that holds the next generation.
// It is used by one goroutine, and only inside the function given to
// [Store.Mutate].
type Tx struct {
	reader
	tx        *sql.Tx
	gen       uint64
	at        time.Time // one instant for all that this mutation writes
	by        manager.Actor
	request   string
	note      string
	random    io.Reader
	insertOne *sql.Stmt // as of Store
	parts     int       // events so far
	dirty     bool      // something was written since the last event
}

// A Mutation says who changes something, and in which request.
type Mutation struct {
	By      manager.Actor
	Request string // id of the API request; may be empty
	Note    string // why, of what the Manager does by itself; may be empty
}

// errUnrecorded is a fault of this package: a change that the audit log would
// not show.
var errUnrecorded = errors.New("store: change without an audit event")

// Mutate runs fn in one transaction and returns its generation. What fn changed
// through Tx, the generation, and the audit events are committed together, or
// not at all. When fn changed nothing the generation is the present one.
//
// Mutations run one after the other, on all Managers of one database, so that
// generations are in the order of commits.
func (s *Store) Mutate(ctx context.Context, m Mutation, fn func(*Tx) error) (uint64, error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() // after a commit it does nothing

	// The instant is taken once the row is locked, so that times grow with
	// generations.
	t := &Tx{tx: tx, by: m.By, request: m.Request, note: m.Note, random: s.random, insertOne: s.insertOne}
	t.reader = reader{q: tx, now: func() time.Time { return t.at }}
	err = tx.QueryRowContext(ctx, `UPDATE state SET generation = generation + 1 WHERE one = 1 RETURNING generation`).Scan(&t.gen)
	if err != nil {
		return 0, fmt.Errorf("store: next generation: %w", err)
	}
	t.at = s.now().UTC().Truncate(time.Millisecond)
	if err := fn(t); err != nil {
		return 0, err
	}
	if t.dirty {
		return 0, errUnrecorded
	}
	if t.parts == 0 {
		return t.gen - 1, nil
	}
	if err := s.notify(ctx, tx, notifyChannel); err != nil {
		return 0, fmt.Errorf("store: notify: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return 0, fmt.Errorf("store: commit: %w", err)
	}
	s.changed.give()
	s.logged.give()
	return t.gen, nil
}

// Generation is the generation that this mutation will make.
func (t *Tx) Generation() uint64 { return t.gen }

// At is the time of all that this mutation writes, its events among it.
func (t *Tx) At() time.Time { return t.at }

func (t *Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	t.dirty = true
	res, err := t.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// record writes the audit event of a change. before and after are the object as
// the API shows it; nil: there was, or is, none.
func (t *Tx) record(ctx context.Context, kind manager.Kind, verb, id string, before, after any) error {
	b, err := digest(before)
	if err != nil {
		return err
	}
	a, err := digest(after)
	if err != nil {
		return err
	}
	l, err := beginAppend(ctx, t.tx, t.insertOne)
	if err != nil {
		return err
	}
	err = l.add(manager.Entry{Kind: manager.EntryAction, Time: t.at, Event: &manager.Event{
		Generation: t.gen, Part: t.parts, Time: t.at, Actor: t.by, Action: string(kind) + "." + verb,
		Kind: kind, Object: id, Before: b, After: a, Request: t.request, Note: t.note,
	}})
	if err != nil {
		return err
	}
	if err := l.commit(ctx); err != nil {
		return err
	}
	t.parts++
	t.dirty = false
	return nil
}

// digest is the SHA-256 of v as JSON, in hex; empty for nil.
func digest(v any) (string, error) {
	if v == nil {
		return "", nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Entries of a gateway's state, by kind. The policy is one entry.
const (
	entryConsumer   = string(manager.KindConsumer)
	entryTarget     = string(manager.KindTarget)
	entryCredential = string(manager.KindCredential)
	entryPolicy     = string(manager.KindPolicy)
	livePolicy      = "live"
)

// touch notes that gateways must hear of an entry, or of its end.
func (t *Tx) touch(ctx context.Context, kind, id string, removed bool) error {
	_, err := t.exec(ctx, `INSERT INTO entries (kind, id, born, generation, removed) VALUES ($1, $2, $3, $3, $4)
		ON CONFLICT (kind, id) DO UPDATE SET generation = excluded.generation, removed = excluded.removed`,
		kind, id, t.gen, removed)
	return err
}

// unused refuses an id that an object has or once had.
func (t *Tx) unused(ctx context.Context, kind manager.Kind, id string) error {
	var removed bool
	err := t.q.QueryRowContext(ctx, `SELECT removed FROM entries WHERE kind = $1 AND id = $2`, string(kind), id).Scan(&removed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case removed:
		return &manager.Error{Kind: kind, ID: id, Err: manager.ErrDeleted}
	default:
		return &manager.Error{Kind: kind, ID: id, Err: manager.ErrExists}
	}
}
