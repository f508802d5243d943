package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // database/sql driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // database/sql driver "sqlite"
)

// A dialect is what differs between the two databases.
type dialect struct {
	goose     goose.Dialect
	isolation sql.IsolationLevel // of a read that sees a single state
}

var (
	sqlite   = dialect{goose: goose.DialectSQLite3}
	postgres = dialect{goose: goose.DialectPostgres, isolation: sql.LevelRepeatableRead}
)

// Connections to PostgreSQL. Mutations wait for each other anyway.
const (
	postgresConns = 16
	connIdle      = 5 * time.Minute
)

func connect(dsn string) (d dialect, write, read *sql.DB, err error) {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		db, err := sql.Open("pgx", dsn)
		if err != nil {
			return postgres, nil, nil, errors.New("the PostgreSQL DSN can't be read") // its text holds a password
		}
		db.SetMaxOpenConns(postgresConns)
		db.SetConnMaxIdleTime(connIdle)
		return postgres, db, db, nil
	}
	path := strings.TrimPrefix(dsn, "sqlite:")
	if path == "" || strings.Contains(path, "://") || strings.HasPrefix(path, ":memory:") {
		return sqlite, nil, nil, errors.New("store: want a postgres:// URL or the path of a SQLite file")
	}
	// The files beside it (-wal, -shm) get the permissions of this one.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return sqlite, nil, nil, err
	}
	if err := f.Close(); err != nil {
		return sqlite, nil, nil, err
	}
	write, err = openSQLite("sqlite", path, true)
	if err != nil {
		return sqlite, nil, nil, err
	}
	read, err = openSQLite("sqlite", path, false)
	if err != nil {
		return sqlite, nil, nil, errors.Join(err, write.Close())
	}
	return sqlite, write, read, nil
}

// openSQLite opens a pool. The pragmas are in the DSN, where they reach every
// connection; by Exec they would reach one.
func openSQLite(driver, path string, writer bool) (*sql.DB, error) {
	q := url.Values{"_pragma": {
		"busy_timeout(10000)", // first: switching to WAL may have to wait
		"journal_mode(WAL)",
		"synchronous(FULL)", // a revocation that was answered survives a power cut
		"foreign_keys(1)",
		"secure_delete(1)", // a retired ciphertext is overwritten
		"trusted_schema(0)",
	}}
	if writer {
		q.Set("_txlock", "immediate") // take the write lock before reading what will be written
	} else {
		q.Add("_pragma", "query_only(1)")
	}
	path, err := filepath.Abs(path) // a URI has no relative paths
	if err != nil {
		return nil, err
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}
	db, err := sql.Open(driver, u.String())
	if err != nil {
		return nil, err
	}
	if writer {
		db.SetMaxOpenConns(1)
	} else {
		db.SetMaxOpenConns(max(4, runtime.NumCPU()))
	}
	return db, nil
}

//go:embed migrations/*.sql
var migrations embed.FS

func (s *Store) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if s.dialect.goose == goose.DialectPostgres { // several Managers may start at once
		l, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, err
		}
		opts = append(opts, goose.WithSessionLocker(l))
	}
	return goose.NewProvider(s.dialect.goose, s.write, files, opts...)
}

// migrate brings the schema up to date. A schema from a later program is
// refused: what this one doesn't know, it can't keep right.
func (s *Store) migrate(ctx context.Context) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("store: migrate: %w", err)
	}
	return s.Ready(ctx)
}

// MigrateDown takes the schema back to version, 0 meaning none, and loses what
// the newer one held.
func (s *Store) MigrateDown(ctx context.Context, version int64) error {
	p, err := s.provider()
	if err != nil {
		return err
	}
	_, err = p.DownTo(ctx, version)
	return err
}

func (s *Store) schema(ctx context.Context) (have, want int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version`).Scan(&have)
	if err != nil {
		return 0, 0, fmt.Errorf("store: read schema version: %w", err)
	}
	p, err := s.provider()
	if err != nil {
		return 0, 0, err
	}
	for _, src := range p.ListSources() {
		want = max(want, src.Version)
	}
	return have, want, nil
}
