package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"

	"keyward/manager"
)

type targetRow struct{ manager.Target }

var targets = table[targetRow]{
	name:    "targets",
	kind:    manager.KindTarget,
	columns: []string{"kind", "credential", "spec"},
	meta:    func(t *targetRow) *manager.Meta { return &t.Meta },
	fields: func(t *targetRow) []any {
		// The spec holds kind and credential too; the columns are for the database.
		return []any{&t.Kind, reference{&t.Credential}, jsonText{&t.TargetSpec}}
	},
}

// reference keeps an id that may be empty, as NULL then.
type reference struct{ id *string }

func (r reference) Value() (driver.Value, error) {
	if *r.id == "" {
		return nil, nil
	}
	return *r.id, nil
}

func (r reference) Scan(src any) error {
	*r.id, _ = src.(string)
	return nil
}

// Target returns a target.
func (r reader) Target(ctx context.Context, id string) (manager.Target, error) {
	row, err := targets.get(ctx, r.q, id)
	return row.Target, err
}

// Targets returns a page of targets.
func (r reader) Targets(ctx context.Context, p manager.Page) (manager.List[manager.Target], error) {
	rows, err := targets.page(ctx, r.q, p, "1 = 1")
	l := manager.List[manager.Target]{Items: make([]manager.Target, len(rows.Items)), After: rows.After}
	for i, row := range rows.Items {
		l.Items[i] = row.Target
	}
	return l, err
}

// CreateTarget makes a target.
func (t *Tx) CreateTarget(ctx context.Context, n manager.NewTarget) (manager.Target, error) {
	row := targetRow{manager.Target{Meta: manager.Meta{ID: n.ID}, TargetSpec: n.TargetSpec}}
	if err := n.Validate(); err != nil {
		return row.Target, err
	}
	if err := t.unused(ctx, manager.KindTarget, n.ID); err != nil {
		return row.Target, err
	}
	if err := t.usableIfAny(ctx, n.Credential); err != nil {
		return row.Target, err
	}
	if err := targets.insert(ctx, t, &row); err != nil {
		return row.Target, err
	}
	if err := t.setMatches(ctx, row.Target); err != nil {
		return row.Target, err
	}
	if err := t.touch(ctx, entryTarget, row.ID, false); err != nil {
		return row.Target, err
	}
	return row.Target, t.record(ctx, manager.KindTarget, "create", row.ID, nil, row.Target)
}

// UpdateTarget changes a target of a version (0: whichever).
func (t *Tx) UpdateTarget(ctx context.Context, id string, version uint64, spec manager.TargetSpec) (manager.Target, error) {
	if err := spec.Validate(); err != nil {
		return manager.Target{}, err
	}
	before, after, err := targets.edit(ctx, t, id, version, func(row *targetRow) error {
		if row.Kind != spec.Kind {
			return &manager.FieldError{Field: "kind", Why: "can't be changed: grants were made for the other kind"}
		}
		if row.Inject != nil && spec.Inject == nil {
			return &manager.FieldError{Field: "inject", Why: "can't be taken away: consumers may have credentials of their own for it"}
		}
		row.TargetSpec = spec
		return t.usableIfAny(ctx, spec.Credential)
	})
	if err != nil {
		return before.Target, err
	}
	if err := t.setMatches(ctx, after.Target); err != nil {
		return before.Target, err
	}
	if err := t.touch(ctx, entryTarget, id, false); err != nil {
		return before.Target, err
	}
	return after.Target, t.record(ctx, manager.KindTarget, "update", id, before.Target, after.Target)
}

// setMatches replaces a target's matches, and refuses one that another target
// has.
func (t *Tx) setMatches(ctx context.Context, target manager.Target) error {
	if _, err := t.exec(ctx, `DELETE FROM target_matches WHERE target = $1`, target.ID); err != nil {
		return err
	}
	for i, m := range target.Match {
		path := strings.TrimRight(m.Path, "/") // "/" and no path both mean every path
		var other string
		err := t.q.QueryRowContext(ctx, `SELECT target FROM target_matches WHERE route = $1 AND host = $2 AND path = $3`,
			m.Route, m.Host, path).Scan(&other)
		if err == nil {
			return &manager.FieldError{Field: fmt.Sprintf("match[%d]", i), Why: fmt.Sprintf("is also a match of target %q", other)}
		}
		if !noRows(err) {
			return err
		}
		_, err = t.exec(ctx, `INSERT INTO target_matches (route, host, path, target) VALUES ($1, $2, $3, $4)`,
			m.Route, m.Host, path, target.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteTarget deletes a target with the grants and overrides for it. Its id
// stays taken.
func (t *Tx) DeleteTarget(ctx context.Context, id string, version uint64) error {
	before, err := targets.checked(ctx, t, id, version)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `UPDATE entries SET generation = $1 WHERE kind = 'consumer' AND id IN (
		SELECT consumer FROM grants WHERE target = $2 UNION SELECT consumer FROM overrides WHERE target = $2)`, t.gen, id)
	if err != nil {
		return err
	}
	// An override is part of what its consumer's ETag stands for.
	_, err = t.exec(ctx, `UPDATE consumers SET version = version + 1, generation = $1, updated = $2
		WHERE id IN (SELECT consumer FROM overrides WHERE target = $3)`, t.gen, t.at.UnixMilli(), id)
	if err != nil {
		return err
	}
	if err := targets.delete(ctx, t, id); err != nil {
		return err
	}
	if err := t.touch(ctx, entryTarget, id, true); err != nil {
		return err
	}
	return t.record(ctx, manager.KindTarget, "delete", id, before.Target, nil)
}
