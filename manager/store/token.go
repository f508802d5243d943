package store

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"keyward/manager"
	"keyward/plugins/token"
)

type tokenRow struct {
	manager.Token
	sha256 string
}

var tokens = table[tokenRow]{
	name:    "tokens",
	kind:    manager.KindToken,
	columns: []string{"consumer", "note", "expires", "revoked", "replaced_by", "last_used", "sha256"},
	meta:    func(t *tokenRow) *manager.Meta { return &t.Meta },
	fields: func(t *tokenRow) []any {
		return []any{&t.Consumer, &t.Note, milli{&t.Expires}, &t.Revoked, &t.ReplacedBy, milli{&t.LastUsed}, &t.sha256}
	},
}

// Token returns what is known of a consumer token.
func (r reader) Token(ctx context.Context, id string) (manager.Token, error) {
	row, err := tokens.get(ctx, r.q, id)
	return row.Token, err
}

// A TokenFilter narrows a list of tokens. The zero value takes all.
type TokenFilter struct {
	Consumer string // empty: of every consumer
	// Replaced takes only those that were rotated and still open something: LastUsed
	// says who has not moved on.
	Replaced bool
	// Before takes only those that were issued before it and still open something;
	// zero: whenever.
	Before time.Time
}

// Tokens returns a page of tokens.
func (r reader) Tokens(ctx context.Context, f TokenFilter, p manager.Page) (manager.List[manager.Token], error) {
	where := "(x.consumer = $1 OR $1 = '')"
	args := []any{f.Consumer}
	if f.Consumer != "" {
		where = "x.consumer = $1" // lets the index be used
	}
	if f.Replaced || !f.Before.IsZero() {
		where += " AND NOT x.revoked AND (x.expires = 0 OR x.expires > $2)"
		args = append(args, r.now().UnixMilli())
	}
	if f.Replaced {
		where += " AND x.replaced_by <> ''"
	}
	if !f.Before.IsZero() {
		where += " AND x.created < $3"
		args = append(args, f.Before.UnixMilli())
	}
	rows, err := tokens.page(ctx, r.q, p, where, args...)
	l := manager.List[manager.Token]{Items: make([]manager.Token, len(rows.Items)), After: rows.After}
	for i, row := range rows.Items {
		l.Items[i] = row.Token
	}
	return l, err
}

// IssueToken makes a token. It is the only time that its text is known.
func (t *Tx) IssueToken(ctx context.Context, spec manager.TokenSpec) (manager.Issued[manager.Token], error) {
	var none manager.Issued[manager.Token]
	if err := spec.Validate(t.at); err != nil {
		return none, err
	}
	c, err := t.Consumer(ctx, spec.Consumer)
	if err != nil {
		return none, asReference(err, "consumer")
	}
	if verb := verbs[c.State]; verb == "revoke" {
		return none, &manager.Error{Kind: manager.KindConsumer, ID: c.ID, Err: manager.ErrState, Why: "it is revoked"}
	}
	if err := t.makeRoom(ctx, c.ID); err != nil {
		return none, err
	}
	secret, row, err := t.newToken(ctx, spec)
	if err != nil {
		return none, err
	}
	if err := t.touch(ctx, entryConsumer, c.ID, false); err != nil {
		return none, err
	}
	return manager.Issued[manager.Token]{Object: row.Token, Secret: secret},
		t.record(ctx, manager.KindToken, "issue", row.ID, nil, row.Token)
}

func (t *Tx) newToken(ctx context.Context, spec manager.TokenSpec) (string, tokenRow, error) {
	var row tokenRow
	secret, err := token.New(t.random)
	if err != nil {
		return "", row, err
	}
	id, err := manager.NewID("tk-", t.at, t.random)
	if err != nil {
		return "", row, err
	}
	row.ID, row.Consumer, row.Note, row.Expires = id, spec.Consumer, spec.Note, cut(spec.Expires)
	row.sha256 = hexDigest(secret)
	return secret, row, tokens.insert(ctx, t, &row)
}

// makeRoom keeps a consumer's tokens within their bound: the oldest that opens
// nothing any more goes.
func (t *Tx) makeRoom(ctx context.Context, consumer string) error {
	l, err := tokens.query(ctx, t.q, "SELECT "+tokens.all()+" FROM tokens x WHERE x.consumer = $1 ORDER BY x.id", consumer)
	if err != nil || len(l) < manager.MaxTokensPerConsumer {
		return err
	}
	for _, row := range l {
		if !row.Live(t.at) {
			return tokens.delete(ctx, t, row.ID)
		}
	}
	return &manager.Error{
		Kind: manager.KindConsumer, ID: consumer, Err: manager.ErrLimit,
		Why: "it has as many live tokens as one may have; revoke one first",
	}
}

// RotateToken makes the successor of a live token, which then ends with the
// overlap, or before when it was to end anyway.
func (t *Tx) RotateToken(ctx context.Context, id string, version uint64, r manager.TokenRotation) (manager.Issued[manager.Token], error) {
	var none manager.Issued[manager.Token]
	if err := r.Validate(t.at); err != nil {
		return none, err
	}
	old, err := tokens.checked(ctx, t, id, version)
	if err != nil {
		return none, err
	}
	if !old.Live(t.at) || old.ReplacedBy != "" {
		return none, &manager.Error{Kind: manager.KindToken, ID: id, Err: manager.ErrState, Why: "it has ended or been rotated"}
	}
	if r.Expires.IsZero() && !old.Expires.IsZero() { // a token that ends has no successor that does not
		r.Expires = cut(t.at.Add(old.Expires.Sub(old.Created)))
	}
	issued, err := t.IssueToken(ctx, manager.TokenSpec{Consumer: old.Consumer, Note: old.Note, Expires: r.Expires})
	if err != nil {
		return none, err
	}
	before, after, err := tokens.edit(ctx, t, id, version, func(row *tokenRow) error {
		row.ReplacedBy = issued.Object.ID
		if r.OverlapSeconds == 0 {
			row.Revoked = true
			return nil
		}
		end := cut(t.at.Add(time.Duration(r.OverlapSeconds) * time.Second))
		if row.Expires.IsZero() || end.Before(row.Expires) {
			row.Expires = end
		}
		return nil
	})
	if err != nil {
		return none, err
	}
	return issued, t.record(ctx, manager.KindToken, "rotate", id, before.Token, after.Token)
}

// RevokeToken ends a token. Revoking a revoked one changes nothing.
func (t *Tx) RevokeToken(ctx context.Context, id string, version uint64) (manager.Token, error) {
	row, err := tokens.checked(ctx, t, id, version)
	if err != nil || row.Revoked {
		return row.Token, err
	}
	before, after, err := tokens.edit(ctx, t, id, version, func(row *tokenRow) error {
		row.Revoked = true
		return nil
	})
	if err != nil {
		return row.Token, err
	}
	if err := t.touch(ctx, entryConsumer, after.Consumer, false); err != nil {
		return row.Token, err
	}
	return after.Token, t.record(ctx, manager.KindToken, "revoke", id, before.Token, after.Token)
}

// SeenTokens notes when gateways last saw tokens, by their id. It is no
// mutation: what was seen has no generation.
func (s *Store) SeenTokens(ctx context.Context, seen map[string]time.Time) error {
	return s.observe(ctx, func(exec execFunc) error {
		for _, id := range slices.Sorted(maps.Keys(seen)) {
			at := seen[id].UnixMilli()
			if err := exec(`UPDATE tokens SET last_used = $1 WHERE id = $2 AND last_used < $1`, at, id); err != nil {
				return err
			}
		}
		return nil
	})
}

type execFunc func(query string, args ...any) error

// observe writes what was seen. It takes the same row as mutations do first, so
// that the two can't wait for each other in a circle.
func (s *Store) observe(ctx context.Context, fn func(execFunc) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after a commit it does nothing
	exec := func(query string, args ...any) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}
	if err := exec(`UPDATE state SET generation = generation WHERE one = 1`); err != nil {
		return err
	}
	if err := fn(exec); err != nil {
		return err
	}
	return tx.Commit()
}

// cut drops the part of a second that the wire form can't carry, so that Manager
// and gateways agree on an end.
func cut(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

func hexDigest(secret string) string {
	sum := token.Digest(secret)
	return hex.EncodeToString(sum[:])
}
