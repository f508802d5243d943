package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"keyward/manager"
)

// A table maps rows to objects of one noun. All have the columns of
// [manager.Meta].
type table[T any] struct {
	name    string
	kind    manager.Kind
	columns []string
	meta    func(*T) *manager.Meta
	fields  func(*T) []any // one per column: a pointer, or a value that scans and binds
}

// all lists the columns of t, which is called x in every statement.
func (t table[T]) all() string {
	return "x.id, x.version, x.generation, x.created, x.updated, x." + strings.Join(t.columns, ", x.")
}

func (t table[T]) row(v *T) []any {
	m := t.meta(v)
	return append([]any{&m.ID, &m.Version, &m.Generation, milli{&m.Created}, milli{&m.Updated}}, t.fields(v)...)
}

// get reads one object. where speaks of x; kind and id name it in the error.
func (t table[T]) get(ctx context.Context, q queryer, id string) (T, error) {
	v, err := t.one(ctx, q, "x.id = $1", id)
	if errors.Is(err, sql.ErrNoRows) {
		err = &manager.Error{Kind: t.kind, ID: id, Err: manager.ErrNotFound}
	}
	return v, err
}

// one reads the object for which where holds, or returns [sql.ErrNoRows].
func (t table[T]) one(ctx context.Context, q queryer, where string, args ...any) (T, error) {
	var v T
	err := q.QueryRowContext(ctx, "SELECT "+t.all()+" FROM "+t.name+" x WHERE "+where, args...).Scan(t.row(&v)...)
	return v, err
}

// pageLimit is how many objects a page may have.
func pageLimit(p manager.Page) int {
	if p.Limit <= 0 {
		return manager.DefaultPage
	}
	return min(p.Limit, manager.MaxPage)
}

// page reads one page of the objects for which where holds, in the order of
// their ids.
func (t table[T]) page(ctx context.Context, q queryer, p manager.Page, where string, args ...any) (manager.List[T], error) {
	var l manager.List[T]
	limit := pageLimit(p)
	n := len(args)
	query := fmt.Sprintf("SELECT %s FROM %s x WHERE (%s) AND x.id > $%d ORDER BY x.id LIMIT $%d", t.all(), t.name, where, n+1, n+2)
	items, err := t.query(ctx, q, query, append(args, p.After, limit+1)...)
	if err != nil {
		return l, err
	}
	if len(items) > limit { // one more was asked for, to know whether there is a next page
		items = items[:limit]
		l.After = t.meta(&items[limit-1]).ID
	}
	l.Items = items
	return l, nil
}

// query reads all the objects of a query that selects all().
func (t table[T]) query(ctx context.Context, q queryer, query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	items := []T{}
	for rows.Next() {
		var v T
		if err := rows.Scan(t.row(&v)...); err != nil {
			return nil, err
		}
		items = append(items, v)
	}
	return items, rows.Err()
}

// insert writes a new object, whose ID is set, and fills in the rest of its Meta.
func (t table[T]) insert(ctx context.Context, tx *Tx, v *T) error {
	m := t.meta(v)
	m.Version, m.Generation, m.Created, m.Updated = 1, tx.gen, tx.at, tx.at
	row := t.row(v)
	marks := make([]string, len(row))
	for i := range marks {
		marks[i] = fmt.Sprintf("$%d", i+1)
	}
	_, err := tx.exec(ctx, fmt.Sprintf("INSERT INTO %s (id, version, generation, created, updated, %s) VALUES (%s)",
		t.name, strings.Join(t.columns, ", "), strings.Join(marks, ", ")), row...)
	return err
}

// update writes an object that was read in the same transaction, as its next
// version.
func (t table[T]) update(ctx context.Context, tx *Tx, v *T) error {
	m := t.meta(v)
	was := m.Version
	m.Version, m.Generation, m.Updated = was+1, tx.gen, tx.at
	sets := []string{"version = $1", "generation = $2", "updated = $3"}
	args := []any{m.Version, m.Generation, milli{&m.Updated}}
	for i, f := range t.fields(v) {
		args = append(args, f)
		sets = append(sets, fmt.Sprintf("%s = $%d", t.columns[i], len(args)))
	}
	args = append(args, m.ID, was)
	n, err := tx.exec(ctx, fmt.Sprintf("UPDATE %s SET %s WHERE id = $%d AND version = $%d",
		t.name, strings.Join(sets, ", "), len(args)-1, len(args)), args...)
	if err == nil && n != 1 {
		err = &manager.Error{Kind: t.kind, ID: m.ID, Err: manager.ErrVersion}
	}
	return err
}

// edit reads an object, checks that it has the version that the caller knows (0:
// whichever), lets change alter it, and writes it as its next version.
func (t table[T]) edit(ctx context.Context, tx *Tx, id string, version uint64, change func(*T) error) (before, after T, err error) {
	before, err = t.checked(ctx, tx, id, version)
	if err != nil {
		return before, after, err
	}
	if after, err = t.get(ctx, tx.q, id); err != nil { // a copy that shares nothing
		return before, after, err
	}
	if err = change(&after); err != nil {
		return before, after, err
	}
	return before, after, t.update(ctx, tx, &after)
}

func (t table[T]) checked(ctx context.Context, tx *Tx, id string, version uint64) (T, error) {
	v, err := t.get(ctx, tx.q, id)
	if err != nil {
		return v, err
	}
	if version != 0 && t.meta(&v).Version != version {
		return v, &manager.Error{Kind: t.kind, ID: id, Err: manager.ErrVersion}
	}
	return v, nil
}

func (t table[T]) delete(ctx context.Context, tx *Tx, id string) error {
	_, err := tx.exec(ctx, "DELETE FROM "+t.name+" WHERE id = $1", id)
	return err
}

// milli keeps a time as Unix milliseconds, the zero time as 0.
type milli struct{ t *time.Time }

func (m milli) Value() (driver.Value, error) {
	if m.t.IsZero() {
		return int64(0), nil
	}
	return m.t.UnixMilli(), nil
}

func (m milli) Scan(src any) error {
	ms, ok := src.(int64)
	if !ok {
		return fmt.Errorf("store: a time is kept as %T", src)
	}
	*m.t = time.Time{}
	if ms != 0 {
		*m.t = time.UnixMilli(ms).UTC()
	}
	return nil
}

// jsonText keeps what v points to as JSON.
type jsonText struct{ v any }

func (j jsonText) Value() (driver.Value, error) {
	b, err := json.Marshal(j.v)
	return string(b), err
}

func (j jsonText) Scan(src any) error {
	switch s := src.(type) {
	case string:
		return json.Unmarshal([]byte(s), j.v)
	case []byte:
		return json.Unmarshal(s, j.v)
	default:
		return fmt.Errorf("store: JSON is kept as %T", src)
	}
}
