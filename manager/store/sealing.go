package store

import (
	"context"
	"fmt"
	"slices"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

var sealingKeys = table[manager.SealingKey]{
	name:    "sealing_keys",
	kind:    manager.KindSealingKey,
	columns: []string{"public", "note"},
	meta:    func(k *manager.SealingKey) *manager.Meta { return &k.Meta },
	fields:  func(k *manager.SealingKey) []any { return []any{&k.Public, &k.Note} },
}

// SealingKey returns a gateway key, and how many credentials are sealed to it.
func (r reader) SealingKey(ctx context.Context, id string) (manager.SealingKey, error) {
	k, err := sealingKeys.get(ctx, r.q, id)
	if err != nil {
		return k, err
	}
	used, err := r.sealedTo(ctx)
	count(&k, used)
	return k, err
}

// SealingKeys returns a page of gateway keys.
func (r reader) SealingKeys(ctx context.Context, p manager.Page) (manager.List[manager.SealingKey], error) {
	l, err := sealingKeys.page(ctx, r.q, p, "1 = 1")
	if err != nil || len(l.Items) == 0 {
		return l, err
	}
	used, err := r.sealedTo(ctx)
	for i := range l.Items {
		count(&l.Items[i], used)
	}
	return l, err
}

func count(k *manager.SealingKey, used [][]string) {
	for _, keys := range used {
		if slices.Contains(keys, k.ID) {
			k.Sealed++
		} else {
			k.Missing++
		}
	}
}

// sealedTo returns for each credential in use the keys that it is sealed to.
func (r reader) sealedTo(ctx context.Context) ([][]string, error) {
	rows, err := r.q.QueryContext(ctx, `SELECT v.sealed FROM credential_versions v
		JOIN credentials c ON c.id = v.credential AND c.current = v.number WHERE NOT c.retired`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all [][]string
	for rows.Next() {
		var sealed []snapshot.Sealed
		if err := rows.Scan(jsonText{&sealed}); err != nil {
			return nil, err
		}
		keys := make([]string, len(sealed))
		for i, s := range sealed {
			keys[i] = s.Key
		}
		all = append(all, keys)
	}
	return all, rows.Err()
}

func (r reader) sealingKeyIDs(ctx context.Context) ([]string, error) {
	l, err := sealingKeys.page(ctx, r.q, manager.Page{Limit: manager.MaxPage}, "1 = 1")
	ids := make([]string, len(l.Items))
	for i, k := range l.Items {
		ids[i] = k.ID
	}
	return ids, err
}

// AddSealingKey makes a gateway key known, to which credentials are then sealed.
func (t *Tx) AddSealingKey(ctx context.Context, spec manager.SealingKeySpec) (manager.SealingKey, error) {
	k := manager.SealingKey{Public: spec.Public, Note: spec.Note}
	public, err := spec.Key()
	if err != nil {
		return k, err
	}
	k.ID = public.ID()
	have, err := t.sealingKeyIDs(ctx)
	switch {
	case err != nil:
		return k, err
	case slices.Contains(have, k.ID):
		return k, &manager.Error{Kind: manager.KindSealingKey, ID: k.ID, Err: manager.ErrExists}
	case len(have) >= manager.MaxSealingKeys:
		return k, &manager.Error{Kind: manager.KindSealingKey, Err: manager.ErrLimit, Why: "remove one that no gateway has any more"}
	}
	if err := sealingKeys.insert(ctx, t, &k); err != nil {
		return k, err
	}
	used, err := t.sealedTo(ctx)
	if err != nil {
		return k, err
	}
	count(&k, used)
	return k, t.record(ctx, manager.KindSealingKey, "add", k.ID, nil, k)
}

// RemoveSealingKey lets nothing more be sealed to a gateway key. It stays as long
// as a credential in use is sealed to no other known key, which would be lost with
// the private half.
func (t *Tx) RemoveSealingKey(ctx context.Context, id string, version uint64) error {
	k, err := sealingKeys.checked(ctx, t, id, version)
	if err != nil {
		return err
	}
	rest, err := t.sealingKeyIDs(ctx)
	if err != nil {
		return err
	}
	rest = slices.DeleteFunc(rest, func(other string) bool { return other == id })
	used, err := t.sealedTo(ctx)
	if err != nil {
		return err
	}
	alone := 0
	for _, keys := range used {
		if slices.Contains(keys, id) && !slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(rest, k) }) {
			alone++
		}
	}
	if alone > 0 {
		return &manager.Error{
			Kind: manager.KindSealingKey, ID: id, Err: manager.ErrState,
			Why: fmt.Sprintf("%d credentials are sealed to it alone; rotate or retire them first", alone),
		}
	}
	if err := sealingKeys.delete(ctx, t, id); err != nil {
		return err
	}
	return t.record(ctx, manager.KindSealingKey, "remove", id, k, nil)
}

// knownKeys refuses what is sealed to a key that is not known. While none is
// known, gateways are configured in another way, and anything goes.
func (t *Tx) knownKeys(ctx context.Context, sealed []snapshot.Sealed) error {
	known, err := t.sealingKeyIDs(ctx)
	if err != nil || len(known) == 0 {
		return err
	}
	for i, s := range sealed {
		if !slices.Contains(known, s.Key) {
			return &manager.FieldError{Field: fmt.Sprintf("sealed[%d].key", i), Why: "is not the id of a known gateway key"}
		}
	}
	return nil
}
