package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"

	"keyward/manager"
)

// ErrPostgres reports a backup or restore asked of a PostgreSQL store, which has
// pg_dump and pg_restore for it.
var ErrPostgres = errors.New("store: use pg_dump and pg_restore for PostgreSQL, then begin a new epoch")

// Backup writes a copy of a SQLite store to a file that must not exist, while
// the store is in use. Only its owner can read it.
func (s *Store) Backup(ctx context.Context, path string) error {
	if s.dialect.goose != goose.DialectSQLite3 {
		return ErrPostgres
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // it was written by SQLite; Sync below has the say
	// VACUUM INTO takes an empty file, and reads one consistent state.
	if _, err := s.write.ExecContext(ctx, `VACUUM INTO $1`, path); err != nil {
		return errors.Join(fmt.Errorf("store: back up: %w", err), os.Remove(path))
	}
	return f.Sync()
}

// Restore makes a SQLite store at path, which must not exist, from a backup, and
// begins a new epoch.
//
// What was revoked after the backup is in force again: see the operations manual.
func Restore(ctx context.Context, backup, path string, opt Options) (err error) {
	if err := check(ctx, backup); err != nil {
		return fmt.Errorf("store: backup %q: %w", backup, err)
	}
	if err := copyFile(backup, path); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	s, err := Open(ctx, path, opt)
	if err != nil {
		return err
	}
	_, err = s.NewEpoch(ctx, Mutation{By: manager.Self})
	return errors.Join(err, s.Close())
}

// check refuses a file that is no sound database of ours.
func check(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	// Immutable: a check must leave no files beside the backup.
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "mode=ro&immutable=1"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return err
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check`).Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return errors.New("damaged: " + verdict)
	}
	var broken string
	err = db.QueryRowContext(ctx, `PRAGMA foreign_key_check`).Scan(&broken, new(any), new(any), new(any))
	if err == nil {
		return fmt.Errorf("damaged: table %q refers to what isn't there", broken)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var epoch string
	return db.QueryRowContext(ctx, `SELECT epoch FROM state WHERE one = 1`).Scan(&epoch)
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close() // only read
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	err = errors.Join(err, dst.Sync(), dst.Close())
	if err != nil {
		err = errors.Join(err, os.Remove(to))
	}
	return err
}
