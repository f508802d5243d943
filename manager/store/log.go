package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyward/manager"
	"keyward/policies"
)

// An appender adds entries to the log within a transaction, which holds the
// log's one row from the first entry to its end: positions are without gaps and
// in the order of commits.
type appender struct {
	tx   *sql.Tx
	one  *sql.Stmt // inserts one row; nil: many go to the database at once
	size uint64    // entries before
	rows []any     // columns of those to add, one entry after the other
	n    uint64    // entries to add
}

func beginAppend(ctx context.Context, tx *sql.Tx, one *sql.Stmt) (*appender, error) {
	a := &appender{tx: tx, one: one}
	err := tx.QueryRowContext(ctx, `UPDATE log_head SET size = size WHERE one = 1 RETURNING size`).Scan(&a.size)
	if err != nil {
		return nil, fmt.Errorf("store: next place in the log: %w", err)
	}
	return a, nil
}

// logColumns are the columns of the table log, in the order in which add gives
// values.
const logColumns = `position, body, hash, time, kind, id, gateway, vm, sequence,
	consumer, target, method, name, verdict, reason, rules, actor, noun, object`

const logColumnCount = 19

func (a *appender) add(e manager.Entry) error {
	body, err := e.Encode()
	if err != nil {
		return fmt.Errorf("store: log entry: %w", err)
	}
	hash := manager.LeafHash(body)
	r, ev := e.Record, e.Event
	if r == nil {
		r = &policies.Record{}
	}
	if ev == nil {
		ev = &manager.Event{}
	}
	sequence, verdict := int64(r.Sequence), ""
	if e.Record != nil {
		verdict = r.Verdict.String()
	}
	a.rows = append(a.rows, int64(a.size+a.n), string(body), base64.StdEncoding.EncodeToString(hash[:]), e.Time.UnixMilli(), string(e.Kind),
		searchable(r.ID+ev.Request), e.Gateway, e.VM, sequence,
		searchable(e.Consumer()), searchable(r.Target), searchable(r.Method+ev.Action), searchable(r.Name),
		verdict, string(r.Reason), searchable(strings.Join(r.Rules, "\n")), ev.Actor.ID, string(ev.Kind), ev.Object)
	a.n++
	return nil
}

// searchable is s as PostgreSQL can keep it.
func searchable(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\ufffd"), "\ufffd")
}

// insertRow inserts one row, for SQLite. insertColumns inserts any number of rows,
// for PostgreSQL, where a round trip costs more than a row: each argument is a
// column.
var (
	insertRow     = `INSERT INTO log (` + logColumns + `) VALUES ` + marks(1, logColumnCount)
	insertColumns = `INSERT INTO log (` + logColumns + `) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[],
		$5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[],
		$14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[])`
)

// commit writes the entries; the transaction is for the caller to commit.
func (a *appender) commit(ctx context.Context) error {
	if err := a.insert(ctx); err != nil {
		return fmt.Errorf("store: append to the log: %w", err)
	}
	_, err := a.tx.ExecContext(ctx, `UPDATE log_head SET size = $1 WHERE one = 1`, a.size+a.n)
	if err != nil {
		return fmt.Errorf("store: size of the log: %w", err)
	}
	return nil
}

func (a *appender) insert(ctx context.Context) error {
	if a.one != nil {
		one := a.tx.StmtContext(ctx, a.one)
		for row := range slices.Chunk(a.rows, logColumnCount) {
			if _, err := one.ExecContext(ctx, row...); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := a.tx.ExecContext(ctx, insertColumns, a.columns()...)
	return err
}

// columns are the values of all rows, column by column.
func (a *appender) columns() []any {
	list := make([]any, logColumnCount)
	for c := range list {
		if _, text := a.rows[c].(string); text {
			list[c] = column[string](a.rows, c)
		} else {
			list[c] = column[int64](a.rows, c)
		}
	}
	return list
}

// column is a column of rows.
func column[T any](rows []any, c int) []T {
	list := make([]T, 0, len(rows)/logColumnCount)
	for ; c < len(rows); c += logColumnCount {
		list = append(list, rows[c].(T))
	}
	return list
}

// marks are the parameters of rows of columns: ($1, $2), ($3, $4).
func marks(rows, columns int) string {
	var b strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	return b.String() + ")"
}

// LogSize is how many entries the log has: the position of the next one.
func (r reader) LogSize(ctx context.Context) (uint64, error) {
	var n uint64
	err := r.q.QueryRowContext(ctx, `SELECT size FROM log_head WHERE one = 1`).Scan(&n)
	return n, err
}

// Log returns up to limit entries of the log from a position on, in order. An
// entry that is there has all before it there too. To follow the log take
// [Store.Logged] first, then read from the position after the last one read.
func (r reader) Log(ctx context.Context, from uint64, limit int) ([]manager.LogEntry, error) {
	return r.logEntries(ctx, `position >= $1 ORDER BY position LIMIT $2`, from, limit)
}

// Decision returns up to limit entries that a decision's ID stands in.
func (r reader) Decision(ctx context.Context, id string, limit int) ([]manager.LogEntry, error) {
	return r.logEntries(ctx, `id = $1 AND kind <> 'action' ORDER BY position LIMIT $2`, id, limit)
}

func (r reader) logEntries(ctx context.Context, where string, args ...any) ([]manager.LogEntry, error) {
	rows, err := r.q.QueryContext(ctx, `SELECT position, body, hash, time FROM log WHERE `+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []manager.LogEntry
	for rows.Next() {
		var e manager.LogEntry
		var hash string
		var at time.Time
		if err := rows.Scan(&e.Position, &e.Body, &hash, milli{&at}); err != nil {
			return nil, err
		}
		readEntry(&e, hash, at)
		list = append(list, e)
	}
	return list, rows.Err()
}

// readEntry fills in e from its text. A text that is not what was written makes
// an entry that says so: one bad row must not hide what follows it.
func readEntry(e *manager.LogEntry, hash string, at time.Time) {
	h, err := base64.StdEncoding.Strict().DecodeString(hash)
	damaged := err != nil || len(h) != len(e.Hash)
	copy(e.Hash[:], h)
	switch {
	case len(e.Body) == 0:
		e.Body = nil
		e.Kind = manager.EntryDropped
	case !damaged:
		damaged = manager.LeafHash(e.Body) != e.Hash || json.Unmarshal(e.Body, &e.Entry) != nil
	}
	if damaged {
		e.Entry = manager.Entry{Kind: manager.EntryDamaged}
	}
	if e.Time.IsZero() {
		e.Time = at
	}
}
