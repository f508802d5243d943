// Package store keeps what the Manager knows in a database: SQLite by default,
// PostgreSQL by DSN, with one schema and the same statements on both.
//
// All changes go through [Store.Mutate]; reads that belong together, such as a
// snapshot, run in one read-only transaction.
//
// # Secrets
//
// The store holds SHA-256 digests of tokens and HPKE ciphertexts of credentials.
// Nothing in a dump of it opens anything.
package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"time"

	"keyward/manager"
)

// Options of a store. The zero value works.
type Options struct {
	Now    func() time.Time // nil: time.Now
	Random io.Reader        // nil: crypto/rand
}

// A Store is a database that has been opened and migrated. It may be used by
// several goroutines at once, and a PostgreSQL one by several Managers.
type Store struct {
	reader
	write   *sql.DB // SQLite: one connection, since SQLite has one writer
	read    *sql.DB
	dialect dialect
	now     func() time.Time
	random  io.Reader
	changed *signal // a mutation was committed
	seen    *signal // a gateway confirmed something
	logged  *signal // the log grew
	batches batches
	// insertOne inserts one row of the log; nil: PostgreSQL takes all of them at once.
	insertOne *sql.Stmt
}

// Open opens the database that dsn names, creating and migrating it as needed.
//
// dsn is a postgres:// URL, or the path of a SQLite file with or without sqlite:
// before it.
func Open(ctx context.Context, dsn string, opt Options) (*Store, error) {
	d, write, read, err := connect(dsn)
	if err != nil {
		return nil, err
	}
	s := newStore(d, write, read, opt)
	if err := s.init(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func newStore(d dialect, write, read *sql.DB, opt Options) *Store {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Store{
		reader:  reader{q: read, now: opt.Now},
		write:   write,
		read:    read,
		dialect: d,
		now:     opt.Now,
		random:  cmp.Or[io.Reader](opt.Random, rand.Reader),
		changed: newSignal(),
		seen:    newSignal(),
		logged:  newSignal(),
		batches: batches{turn: make(chan struct{}, 1)},
	}
}

// prepare makes the statement that SQLite, which knows one by its Stmt alone, is
// asked for most.
func (s *Store) prepare(ctx context.Context) (err error) {
	if s.dialect == sqlite {
		s.insertOne, err = s.write.PrepareContext(ctx, insertRow)
	}
	return err
}

// init migrates the database and gives a new one its epoch.
func (s *Store) init(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	epoch, err := manager.NewID("", s.now(), s.random)
	if err != nil {
		return err
	}
	_, err = s.write.ExecContext(ctx, `INSERT INTO state (one, epoch, generation, policy)
		VALUES (1, $1, 0, '') ON CONFLICT (one) DO NOTHING`, epoch)
	if err != nil {
		return err
	}
	// Generation 0 means "nothing yet" on the wire: the first is that there is a
	// store.
	_, err = s.Mutate(ctx, Mutation{By: manager.Self}, func(t *Tx) error {
		if t.gen != 1 {
			return nil
		}
		return t.record(ctx, manager.KindStore, "create", epoch, nil, epoch)
	})
	return err
}

// Close closes the database.
func (s *Store) Close() error {
	err := s.read.Close()
	if s.insertOne != nil {
		err = cmp.Or(s.insertOne.Close(), err)
	}
	if s.write != s.read {
		err = cmp.Or(s.write.Close(), err)
	}
	return err
}

// Ready reports whether the database answers and has the schema that this
// program was built for.
func (s *Store) Ready(ctx context.Context) error {
	have, want, err := s.schema(ctx)
	if err != nil {
		return err
	}
	if have != want {
		return fmt.Errorf("store has schema %d, this program needs %d", have, want)
	}
	return nil
}

// A reader reads, inside a transaction or outside of one.
type reader struct {
	q   queryer
	now func() time.Time
}

type queryer interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// view runs fn in one read-only transaction that sees a single state.
func (s *Store) view(ctx context.Context, fn func(reader) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{Isolation: s.dialect.isolation, ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() // nothing to lose
	return fn(reader{q: tx, now: s.now})
}
