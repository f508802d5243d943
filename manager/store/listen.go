package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

const (
	notifyChannel = "keyward_changes" // the generation grew, and with it the log
	notifyLog     = "keyward_log"     // the log alone grew
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
	if _, err := conn.ExecContext(ctx, "LISTEN "+notifyChannel+"; LISTEN "+notifyLog); err != nil {
		return err
	}
	s.changed.give() // whatever came before is news
	s.logged.give()
	return conn.Raw(func(c any) error {
		raw := c.(*stdlib.Conn).Conn()
		defer raw.Close(context.WithoutCancel(ctx)) // it listens: nobody else may have it
		for {
			n, err := raw.WaitForNotification(ctx)
			if err != nil {
				return err
			}
			if n.Channel == notifyChannel {
				s.changed.give()
			}
			s.logged.give()
		}
	})
}

// notify tells other Managers, once tx is committed, what grew.
func (s *Store) notify(ctx context.Context, tx *sql.Tx, channel string) error {
	if s.dialect.goose != postgres.goose {
		return nil
	}
	_, err := tx.ExecContext(ctx, "SELECT pg_notify($1, '')", channel)
	return err
}
