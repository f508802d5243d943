package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"keyward/manager"
)

type policyRow struct {
	manager.Policy
	number uint64
}

var policyRows = table[policyRow]{
	name:    "policies",
	kind:    manager.KindPolicy,
	columns: []string{"note", "digest", "number", "published"},
	meta:    func(p *policyRow) *manager.Meta { return &p.Meta },
	fields: func(p *policyRow) []any {
		return []any{&p.Note, &p.Digest, &p.number, milli{&p.Published}}
	},
}

func (r reader) livePolicy(ctx context.Context) (string, error) {
	var id string
	err := r.q.QueryRowContext(ctx, `SELECT policy FROM state WHERE one = 1`).Scan(&id)
	return id, err
}

// Policy returns a policy version with its text.
func (r reader) Policy(ctx context.Context, id string) (manager.PolicyText, error) {
	var p manager.PolicyText
	row, err := policyRows.get(ctx, r.q, id)
	if err != nil {
		return p, err
	}
	live, err := r.livePolicy(ctx)
	if err != nil {
		return p, err
	}
	p.Policy = row.Policy
	p.Live = id == live
	err = r.q.QueryRowContext(ctx, `SELECT source FROM policy_texts WHERE policy = $1`, id).Scan(jsonText{&p.PolicySource})
	return p, err
}

// Policies returns a page of policy versions, in the order in which they came.
func (r reader) Policies(ctx context.Context, page manager.Page) (manager.List[manager.Policy], error) {
	var l manager.List[manager.Policy]
	live, err := r.livePolicy(ctx)
	if err != nil {
		return l, err
	}
	rows, err := policyRows.page(ctx, r.q, page, "1 = 1")
	l = manager.List[manager.Policy]{Items: make([]manager.Policy, len(rows.Items)), After: rows.After}
	for i, row := range rows.Items {
		l.Items[i] = row.Policy
		l.Items[i].Live = row.ID == live
	}
	return l, err
}

// PreviousPolicy returns the newest version that was ever live and came before
// the live one.
func (r reader) PreviousPolicy(ctx context.Context) (string, error) {
	row, err := policyRows.one(ctx, r.q, `x.published <> 0 AND x.number <
		(SELECT p.number FROM policies p, state s WHERE p.id = s.policy) ORDER BY x.number DESC LIMIT 1`)
	if noRows(err) {
		err = &manager.Error{Kind: manager.KindPolicy, Err: manager.ErrState, Why: "no earlier version has been live"}
	}
	return row.ID, err
}

// CreatePolicy keeps a new policy version. It doesn't decide until it is
// published.
func (t *Tx) CreatePolicy(ctx context.Context, spec manager.PolicySpec) (manager.PolicyText, error) {
	p := manager.PolicyText{PolicySource: spec.PolicySource}
	if err := spec.Validate(); err != nil {
		return p, err
	}
	source, err := json.Marshal(spec.PolicySource)
	if err != nil {
		return p, err
	}
	row := policyRow{number: t.gen}
	row.Note = spec.Note
	if row.Digest, err = spec.PolicySource.Sum(); err != nil {
		return p, err
	}
	// Generation and content: it sorts by age, and after a restore, when generations
	// come again, it still means one text.
	row.ID = fmt.Sprintf("v%08d-%s", t.gen, row.Digest[:8])
	if err := policyRows.insert(ctx, t, &row); err != nil {
		return p, err
	}
	if _, err := t.exec(ctx, `INSERT INTO policy_texts (policy, source, program) VALUES ($1, $2, '')`, row.ID, string(source)); err != nil {
		return p, err
	}
	p.Policy = row.Policy
	return p, t.record(ctx, manager.KindPolicy, "create", row.ID, nil, p.Policy)
}

// ExpectPolicy fails unless a policy version is the live one.
func (t *Tx) ExpectPolicy(ctx context.Context, id string) error {
	st, err := t.state(ctx)
	if err == nil && st.Policy != id {
		err = &manager.Error{Kind: manager.KindPolicy, ID: id, Err: manager.ErrVersion, Why: "it is not the live one any more"}
	}
	return err
}

// PublishPolicy makes a policy version the live one, with the program that it
// compiles to.
func (t *Tx) PublishPolicy(ctx context.Context, id string, version uint64, program []byte) (manager.Policy, error) {
	before, after, err := policyRows.edit(ctx, t, id, version, func(row *policyRow) error {
		row.Published = t.at
		return nil
	})
	if err != nil {
		return before.Policy, err
	}
	_, err = t.exec(ctx, `UPDATE policy_texts SET program = $1 WHERE policy = $2`, base64.StdEncoding.EncodeToString(program), id)
	if err != nil {
		return before.Policy, err
	}
	if _, err := t.exec(ctx, `UPDATE state SET policy = $1 WHERE one = 1`, id); err != nil {
		return before.Policy, err
	}
	if err := t.touch(ctx, entryPolicy, livePolicy, false); err != nil {
		return before.Policy, err
	}
	after.Live = true
	return after.Policy, t.record(ctx, manager.KindPolicy, "publish", id, before.Policy, after.Policy)
}
