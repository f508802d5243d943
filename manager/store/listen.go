package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

const (
	notifyChannel = "keyward_changes"
	// listenAgain is the pause before a lost connection is made anew. What was
	// missed meanwhile is caught up with then.
	listenAgain = time.Second
)

// Listen passes on the news of other Managers on the same PostgreSQL until ctx is
// done; on SQLite, which has one Manager, it returns at once. failed is told of
// each lost connection.
func (s *Store) Listen(ctx context.Context, failed func(error)) {
	if s.dialect.goose != postgres.goose {
		return
	}
	for ctx.Err() == nil {
		if err := s.listen(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(listenAgain):
		}
	}
}

func (s *Store) listen(ctx context.Context) error {
	conn, err := s.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // the pool drops it if it is broken
	if _, err := conn.ExecContext(ctx, "LISTEN "+notifyChannel); err != nil {
		return err
	}
	s.changed.give() // whatever came before is news
	return conn.Raw(func(c any) error {
		raw := c.(*stdlib.Conn).Conn()
		defer raw.Close(context.WithoutCancel(ctx)) // it listens: nobody else may have it
		for {
			if _, err := raw.WaitForNotification(ctx); err != nil {
				return err
			}
			s.changed.give()
		}
	})
}

// notify tells other Managers, once tx is committed, that the generation grew.
func (s *Store) notify(ctx context.Context, tx *sql.Tx) error {
	if s.dialect.goose != postgres.goose {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT pg_notify('"+notifyChannel+"', '')")
	return err
}
