package store

import (
	"context"
	"fmt"
	"time"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

type credentialRow struct {
	manager.Credential
	current uint64 // number of the version in use
	last    uint64 // highest number ever given out
}

// shown fills in what is kept elsewhere.
func (c credentialRow) shown(ctx context.Context, r reader) (manager.Credential, error) {
	v := c.Credential
	v.Next = c.last + 1
	var err error
	v.Versions, err = r.versions(ctx, c.ID)
	return v, err
}

var credentials = table[credentialRow]{
	name:    "credentials",
	kind:    manager.KindCredential,
	columns: []string{"note", "retired", "current", "last"},
	meta:    func(c *credentialRow) *manager.Meta { return &c.Meta },
	fields: func(c *credentialRow) []any {
		return []any{&c.Note, &c.Retired, &c.current, &c.last}
	},
}

// Credential returns what may be read of a credential.
func (r reader) Credential(ctx context.Context, id string) (manager.Credential, error) {
	row, err := credentials.get(ctx, r.q, id)
	if err != nil {
		return row.Credential, err
	}
	return row.shown(ctx, r)
}

// Credentials returns a page of credentials.
func (r reader) Credentials(ctx context.Context, p manager.Page) (manager.List[manager.Credential], error) {
	rows, err := credentials.page(ctx, r.q, p, "1 = 1")
	l := manager.List[manager.Credential]{Items: make([]manager.Credential, len(rows.Items)), After: rows.After}
	for i, row := range rows.Items {
		if l.Items[i], err = row.shown(ctx, r); err != nil {
			return l, err
		}
	}
	return l, err
}

func (r reader) versions(ctx context.Context, id string) ([]manager.CredentialVersion, error) {
	rows, err := r.q.QueryContext(ctx, `SELECT number, created, retires, upstream, sealed FROM credential_versions
		WHERE credential = $1 AND (retires = 0 OR retires > $2) ORDER BY retires <> 0, number DESC`, id, r.now().UnixMilli())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []manager.CredentialVersion{}
	for rows.Next() {
		var v manager.CredentialVersion
		var sealed []snapshot.Sealed
		if err := rows.Scan(&v.Number, milli{&v.Created}, milli{&v.Retires}, jsonText{&v.Upstream}, jsonText{&sealed}); err != nil {
			return nil, err
		}
		v.Keys = make([]string, len(sealed))
		for i, s := range sealed {
			v.Keys[i] = s.Key
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// CreateCredential enrols a key, sealed.
func (t *Tx) CreateCredential(ctx context.Context, spec manager.CredentialSpec) (manager.Credential, error) {
	row := credentialRow{current: 1, last: 1}
	row.ID, row.Note = spec.ID, spec.Note
	if err := spec.Validate(); err != nil {
		return row.Credential, err
	}
	if err := t.unused(ctx, manager.KindCredential, spec.ID); err != nil {
		return row.Credential, err
	}
	if err := credentials.insert(ctx, t, &row); err != nil {
		return row.Credential, err
	}
	if err := t.insertVersion(ctx, row, spec.CredentialSealed); err != nil {
		return row.Credential, err
	}
	return t.credentialDone(ctx, "enrol", nil, row.ID)
}

// RotateCredential puts a new key into use. The one before can be gone back to
// until the overlap ends.
func (t *Tx) RotateCredential(ctx context.Context, id string, version uint64, r manager.CredentialRotation) (manager.Credential, error) {
	if err := r.Validate(); err != nil {
		return manager.Credential{}, err
	}
	return t.editCredential(ctx, id, version, "rotate", func(row *credentialRow) error {
		if r.Number != row.last+1 {
			return &manager.FieldError{Field: "number", Why: fmt.Sprintf("must be %d, the credential's next", row.last+1)}
		}
		if r.OverlapSeconds == 0 {
			if err := t.eraseVersion(ctx, id, row.current); err != nil {
				return err
			}
		} else {
			end := t.at.Add(time.Duration(r.OverlapSeconds) * time.Second)
			if _, err := t.exec(ctx, `UPDATE credential_versions SET retires = $1 WHERE credential = $2 AND number = $3`,
				end.UnixMilli(), id, row.current); err != nil {
				return err
			}
		}
		row.last++
		row.current = row.last
		if err := t.insertVersion(ctx, *row, r.CredentialSealed); err != nil {
			return err
		}
		_, err := t.exec(ctx, `DELETE FROM credential_versions WHERE credential = $1 AND number <= $2`,
			id, int64(row.last)-manager.MaxCredentialsKept)
		return err
	})
}

// RevertCredential goes back to the newest version in its overlap, and erases
// the one that was in use.
func (t *Tx) RevertCredential(ctx context.Context, id string, version uint64) (manager.Credential, error) {
	return t.editCredential(ctx, id, version, "revert", func(row *credentialRow) error {
		var number uint64
		err := t.q.QueryRowContext(ctx, `SELECT COALESCE(MAX(number), 0) FROM credential_versions
			WHERE credential = $1 AND retires > $2`, id, t.at.UnixMilli()).Scan(&number)
		if err != nil {
			return err
		}
		if number == 0 {
			return &manager.Error{Kind: manager.KindCredential, ID: id, Err: manager.ErrState, Why: "no earlier version is in its overlap"}
		}
		if err := t.eraseVersion(ctx, id, row.current); err != nil {
			return err
		}
		row.current = number
		_, err = t.exec(ctx, `UPDATE credential_versions SET retires = 0 WHERE credential = $1 AND number = $2`, id, number)
		return err
	})
}

// RetireCredential erases a credential from the store and from every gateway.
// What refers to it keeps doing so, and is denied.
func (t *Tx) RetireCredential(ctx context.Context, id string, version uint64) (manager.Credential, error) {
	return t.editCredential(ctx, id, version, "retire", func(row *credentialRow) error {
		row.Retired = true
		_, err := t.exec(ctx, `DELETE FROM credential_versions WHERE credential = $1`, id)
		return err
	})
}

func (t *Tx) editCredential(ctx context.Context, id string, version uint64, verb string, change func(*credentialRow) error) (manager.Credential, error) {
	before, err := t.Credential(ctx, id)
	if err != nil {
		return before, err
	}
	_, _, err = credentials.edit(ctx, t, id, version, func(row *credentialRow) error {
		if row.Retired {
			return &manager.Error{Kind: manager.KindCredential, ID: id, Err: manager.ErrState, Why: "it is retired, which is final"}
		}
		return change(row)
	})
	if err != nil {
		return before, err
	}
	return t.credentialDone(ctx, verb, before, id)
}

func (t *Tx) credentialDone(ctx context.Context, verb string, before any, id string) (manager.Credential, error) {
	after, err := t.Credential(ctx, id)
	if err != nil {
		return after, err
	}
	if err := t.touch(ctx, entryCredential, id, false); err != nil {
		return after, err
	}
	return after, t.record(ctx, manager.KindCredential, verb, id, before, after)
}

func (t *Tx) insertVersion(ctx context.Context, row credentialRow, v manager.CredentialSealed) error {
	if err := t.knownKeys(ctx, v.Sealed); err != nil {
		return err
	}
	_, err := t.exec(ctx, `INSERT INTO credential_versions (credential, number, created, retires, upstream, sealed)
		VALUES ($1, $2, $3, 0, $4, $5)`, row.ID, row.current, t.at.UnixMilli(), jsonText{v.Upstream}, jsonText{v.Sealed})
	return err
}

func (t *Tx) eraseVersion(ctx context.Context, id string, number uint64) error {
	_, err := t.exec(ctx, `DELETE FROM credential_versions WHERE credential = $1 AND number = $2`, id, number)
	return err
}

// usable refuses a reference to a credential that isn't there or is retired.
func (t *Tx) usable(ctx context.Context, id string) error {
	row, err := credentials.get(ctx, t.q, id)
	if err != nil {
		return asReference(err, "credential")
	}
	if row.Retired {
		return &manager.FieldError{Field: "credential", Why: "names a retired one"}
	}
	return nil
}

func (t *Tx) usableIfAny(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	return t.usable(ctx, id)
}

// Sweep erases what has outlived its time: ciphertexts whose overlap is over,
// and kept answers. It carries out what was decided before, and so has no
// generation.
func (s *Store) Sweep(ctx context.Context) error {
	now := s.now().UnixMilli()
	return s.observe(ctx, func(exec execFunc) error {
		if err := exec(`DELETE FROM credential_versions WHERE retires <> 0 AND retires <= $1`, now); err != nil {
			return err
		}
		if err := exec(`DELETE FROM gateway_instances WHERE ended <> 0 AND last_seen <= $1`, now-forgetInstance.Milliseconds()); err != nil {
			return err
		}
		return exec(`DELETE FROM idempotency WHERE expires <= $1`, now)
	})
}
