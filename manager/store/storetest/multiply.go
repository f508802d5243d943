// Package storetest fills stores for measurements, where making a million grants
// one by one would take longer than what is measured.
package storetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"

	"keyward/plugins/token"
)

// Multiply copies a consumer of the SQLite store at path, which has grants on
// targets and no token, until there are n besides it. The i-th copy is called
// name(i), has a token, which is returned, and its grants on the targets that
// follow the i-th, in the order of their ids and around. The copies are of the
// generation in which the consumer last changed, and the log knows nothing of
// them.
func Multiply(ctx context.Context, path, consumer string, n int, name func(int) string) (tokens []string, err error) {
	db, err := sql.Open("sqlite", path) // the driver that package store brings
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // temporary tables belong to a connection
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // after a commit it does nothing
	if tokens, err = copies(ctx, tx, n, name); err != nil {
		return nil, err
	}
	for _, statement := range []string{
		`CREATE TEMP TABLE ring AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM targets`,
		`CREATE UNIQUE INDEX temp.ring_place ON ring (place)`,
		`INSERT INTO consumers SELECT k.id, c.version, c.generation, c.created, c.updated, c.kind, c.labels, c.state
			FROM copies k, consumers c WHERE c.id = $1`,
		`INSERT INTO entries SELECT e.kind, k.id, e.born, e.generation, e.removed
			FROM copies k, entries e WHERE e.kind = 'consumer' AND e.id = $1`,
		`INSERT INTO tokens SELECT 'tk-' || k.id, 1, c.generation, c.created, c.updated, k.id, '', 0, FALSE, '', 0, k.sha256
			FROM copies k, consumers c WHERE c.id = $1`,
		`INSERT INTO grants SELECT printf('%s-%06d', g.id, k.place), g.version, g.generation, g.created, g.updated, k.id, r.id, g.expires, g.spec
			FROM copies k, (SELECT *, row_number() OVER (ORDER BY id) - 1 AS nth FROM grants WHERE consumer = $1) g,
				(SELECT COUNT(*) AS size FROM ring) s CROSS JOIN ring r WHERE r.place = (k.place + g.nth) % s.size`,
	} {
		if _, err := tx.ExecContext(ctx, statement, consumer); err != nil {
			return nil, fmt.Errorf("multiply: %w", err)
		}
	}
	return tokens, tx.Commit()
}

// copies makes the table of what is to be.
func copies(ctx context.Context, tx *sql.Tx, n int, name func(int) string) ([]string, error) {
	if _, err := tx.ExecContext(ctx, `CREATE TEMP TABLE copies (place INTEGER PRIMARY KEY, id TEXT, sha256 TEXT)`); err != nil {
		return nil, err
	}
	insert, err := tx.PrepareContext(ctx, `INSERT INTO copies VALUES ($1, $2, $3)`)
	if err != nil {
		return nil, err
	}
	defer insert.Close()
	tokens := make([]string, n)
	for i := range tokens {
		if tokens[i], err = token.New(rand.Reader); err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(tokens[i]))
		if _, err := insert.ExecContext(ctx, i, name(i), hex.EncodeToString(sum[:])); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}
