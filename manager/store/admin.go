package store

import (
	"context"
	"errors"
	"time"

	"keyward/manager"
)

type adminRow struct {
	manager.AdminToken
	sha256 string
}

var adminTokens = table[adminRow]{
	name:    "admin_tokens",
	kind:    manager.KindAdminToken,
	columns: []string{"name", "role", "expires", "sha256"},
	meta:    func(a *adminRow) *manager.Meta { return &a.Meta },
	fields: func(a *adminRow) []any {
		return []any{&a.Name, &a.Role, milli{&a.Expires}, &a.sha256}
	},
}

// Authenticate returns who holds a secret. [manager.ErrForbidden]: nobody does,
// or their token has ended; which of the two is not told.
//
// The look-up is by digest: its timing says nothing of the secret.
func (r reader) Authenticate(ctx context.Context, secret string) (manager.Actor, error) {
	row, err := adminTokens.one(ctx, r.q, "x.sha256 = $1", hexDigest(secret))
	switch {
	case noRows(err):
		return manager.Actor{}, manager.ErrForbidden
	case err != nil:
		return manager.Actor{}, err
	case !row.Expires.IsZero() && !r.now().Before(row.Expires):
		return manager.Actor{}, manager.ErrForbidden
	}
	return manager.Actor{ID: row.ID, Name: row.Name, Role: row.Role}, nil
}

// AdminToken returns what is known of an admin token.
func (r reader) AdminToken(ctx context.Context, id string) (manager.AdminToken, error) {
	row, err := adminTokens.get(ctx, r.q, id)
	return row.AdminToken, err
}

// AdminTokens returns a page of admin tokens.
func (r reader) AdminTokens(ctx context.Context, p manager.Page) (manager.List[manager.AdminToken], error) {
	rows, err := adminTokens.page(ctx, r.q, p, "1 = 1")
	l := manager.List[manager.AdminToken]{Items: make([]manager.AdminToken, len(rows.Items)), After: rows.After}
	for i, row := range rows.Items {
		l.Items[i] = row.AdminToken
	}
	return l, err
}

// IssueAdminToken makes an admin token. It is the only time that its text is
// known.
func (t *Tx) IssueAdminToken(ctx context.Context, spec manager.AdminTokenSpec) (manager.Issued[manager.AdminToken], error) {
	var none manager.Issued[manager.AdminToken]
	if err := spec.Validate(t.at); err != nil {
		return none, err
	}
	secret, err := manager.NewSecret(manager.AdminPrefix, t.random)
	if err != nil {
		return none, err
	}
	row := adminRow{sha256: hexDigest(secret)}
	row.Name, row.Role, row.Expires = spec.Name, spec.Role, cut(spec.Expires)
	if row.ID, err = manager.NewID("at-", t.at, t.random); err != nil {
		return none, err
	}
	if err := adminTokens.insert(ctx, t, &row); err != nil {
		return none, err
	}
	return manager.Issued[manager.AdminToken]{Object: row.AdminToken, Secret: secret},
		t.record(ctx, manager.KindAdminToken, "issue", row.ID, nil, row.AdminToken)
}

// DeleteAdminToken ends an admin token. The last one of role admin that does not
// end stays: without it nobody could make another.
func (t *Tx) DeleteAdminToken(ctx context.Context, id string, version uint64) error {
	row, err := adminTokens.checked(ctx, t, id, version)
	if err != nil {
		return err
	}
	_, err = adminTokens.one(ctx, t.q, "x.role = 'admin' AND x.id <> $1 AND (x.expires = 0 OR x.expires > $2)", id, t.at.UnixMilli())
	if noRows(err) && row.Role == manager.Admin {
		return &manager.Error{Kind: manager.KindAdminToken, ID: id, Err: manager.ErrState, Why: "it is the last of role admin"}
	}
	if err != nil && !noRows(err) {
		return err
	}
	if err := adminTokens.delete(ctx, t, id); err != nil {
		return err
	}
	return t.record(ctx, manager.KindAdminToken, "delete", id, row.AdminToken, nil)
}

// bootstrapLife is how long the first token lives: enough to make a lasting one.
const bootstrapLife = 24 * time.Hour

var errBootstrapped = errors.New("store: there has been an admin token")

// Bootstrap makes the first admin token. The second result is false, and the
// first empty, if there ever was one.
func (s *Store) Bootstrap(ctx context.Context) (manager.Issued[manager.AdminToken], bool, error) {
	var issued manager.Issued[manager.AdminToken]
	_, err := s.Mutate(ctx, Mutation{By: manager.Self}, func(t *Tx) error {
		var n int
		err := t.q.QueryRowContext(ctx, `SELECT COUNT(*) FROM log WHERE noun = $1`, string(manager.KindAdminToken)).Scan(&n)
		if err != nil {
			return err
		}
		if n > 0 {
			return errBootstrapped
		}
		issued, err = t.IssueAdminToken(ctx, manager.AdminTokenSpec{
			Name: "bootstrap", Role: manager.Admin, Expires: t.at.Add(bootstrapLife),
		})
		return err
	})
	if errors.Is(err, errBootstrapped) {
		return issued, false, nil
	}
	return issued, err == nil, err
}
