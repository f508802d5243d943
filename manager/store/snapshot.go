package store

import (
	"context"
	"database/sql"
	"encoding/base64"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

// partEntries bounds a part of a snapshot, and so what is in memory at a time.
const partEntries = 128

// Snapshot returns all that a gateway needs, at the present generation, in one
// piece; see [Store.Changes] for large ones.
func (s *Store) Snapshot(ctx context.Context) (snapshot.Snapshot, error) {
	var all snapshot.Snapshot
	err := s.Changes(ctx, "", 0, snapshot.Everyone, func(part *snapshot.Snapshot) error {
		if all.Generation == 0 {
			all = *part
			return nil
		}
		all.Targets = append(all.Targets, part.Targets...)
		all.Consumers = append(all.Consumers, part.Consumers...)
		all.Credentials = append(all.Credentials, part.Credentials...)
		return nil
	})
	return all, err
}

// Changes gives take what changed since a generation of an epoch, in parts of one
// state that all have its epoch and generations; the first has the policy and
// what was removed. The changes are whole, with Since zero, when there is no way
// from there to here: for another epoch, for generation 0, and for one that is
// yet to come. An audience gets what it uses.
func (s *Store) Changes(ctx context.Context, epoch string, since uint64, audience snapshot.Audience, take func(part *snapshot.Snapshot) error) error {
	return s.view(ctx, func(r reader) error {
		st, err := r.state(ctx)
		if err != nil {
			return err
		}
		if epoch != st.Epoch || since > st.Generation {
			since = 0
		}
		head := snapshot.Snapshot{Format: snapshot.Format, Epoch: st.Epoch, Generation: st.Generation, Since: since}
		touched, err := r.touched(ctx, since)
		if err != nil {
			return err
		}
		first := head
		if touched[entryPolicy] && audience != snapshot.ForKeySwap {
			if err := r.wirePolicy(ctx, &first); err != nil {
				return err
			}
		}
		if touched[entryConsumer] || touched[entryTarget] {
			if err := r.wireRemoved(ctx, &first); err != nil {
				return err
			}
		}
		if err := take(&first); err != nil {
			return err
		}
		wireConsumers := r.wireConsumers
		if audience == snapshot.ForKeySwap {
			wireConsumers = r.wireUsers
		}
		for _, k := range []struct {
			kind string
			read func(context.Context, in, *snapshot.Snapshot) error
		}{
			{entryCredential, r.wireCredentials}, {entryTarget, r.wireTargets}, {entryConsumer, wireConsumers},
		} {
			if !touched[k.kind] || k.kind == entryCredential && audience == snapshot.ForGate {
				continue
			}
			err := r.changed(ctx, k.kind, since, func(ids in) error {
				part := head
				if err := k.read(ctx, ids, &part); err != nil {
					return err
				}
				return take(&part)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// touched says of which kinds entries changed, or went, after a generation. It is
// one look in place of one for each kind, of which most find nothing.
func (r reader) touched(ctx context.Context, since uint64) (map[string]bool, error) {
	kinds := [...]string{entryPolicy, entryCredential, entryTarget, entryConsumer}
	var yes [len(kinds)]bool
	const one = `EXISTS (SELECT 1 FROM entries WHERE kind = `
	err := r.q.QueryRowContext(ctx, `SELECT `+one+`$1 AND generation > $5), `+one+`$2 AND generation > $5), `+
		one+`$3 AND generation > $5), `+one+`$4 AND generation > $5)`, kinds[0], kinds[1], kinds[2], kinds[3], since).
		Scan(&yes[0], &yes[1], &yes[2], &yes[3])
	touched := make(map[string]bool, len(kinds))
	for i, k := range kinds {
		touched[k] = yes[i]
	}
	return touched, err
}

// An in is a list of ids as the arguments of a statement.
type in []any

// marks are the parameters of ids, as IN takes them.
func (ids in) marks() string { return marks(1, len(ids)) }

// changed gives take the ids of entries that changed after a generation and are
// there, a few at a time. It follows an index from the generation on, so that a
// single change costs the same among any number of entries.
func (r reader) changed(ctx context.Context, kind string, since uint64, take func(in) error) error {
	generation, last := since+1, ""
	for {
		var ids in
		err := r.each(ctx, `SELECT generation, id FROM entries WHERE kind = $1 AND (generation, id) > ($2, $3) AND NOT removed
			ORDER BY generation, id LIMIT $4`, []any{kind, generation, last, partEntries}, func(rows *sql.Rows) error {
			err := rows.Scan(&generation, &last)
			ids = append(ids, last)
			return err
		})
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			if err := take(ids); err != nil {
				return err
			}
		}
		if len(ids) < partEntries {
			return nil
		}
	}
}

func (r reader) wirePolicy(ctx context.Context, w *snapshot.Snapshot) error {
	var p snapshot.Policy
	var program string
	err := r.q.QueryRowContext(ctx, `SELECT x.policy, x.program FROM policy_texts x JOIN state s ON s.policy = x.policy
		JOIN entries e ON e.kind = $1 AND e.id = $2 AND e.generation > $3`, entryPolicy, livePolicy, w.Since).Scan(&p.Version, &program)
	if noRows(err) {
		return nil
	}
	if err != nil {
		return err
	}
	w.Policy = &p
	p.Program, err = base64.StdEncoding.DecodeString(program)
	return err
}

func (r reader) wireTargets(ctx context.Context, ids in, w *snapshot.Snapshot) error {
	rows, err := targets.query(ctx, r.q, "SELECT "+targets.all()+" FROM targets x WHERE x.id IN "+ids.marks()+" ORDER BY x.id", ids...)
	for _, t := range rows {
		w.Targets = append(w.Targets, t.Wire(t.ID))
	}
	return err
}

// wireUsers reads of consumers what [snapshot.ForKeySwap] has.
func (r reader) wireUsers(ctx context.Context, ids in, w *snapshot.Snapshot) error {
	at, err := r.wireIdentities(ctx, ids, w)
	if err != nil {
		return err
	}
	for _, c := range at {
		c.Labels = nil
	}
	return r.wireOverrides(ctx, ids, at)
}

// wireIdentities reads of consumers what is their own, and returns them by id.
func (r reader) wireIdentities(ctx context.Context, ids in, w *snapshot.Snapshot) (map[string]*snapshot.Consumer, error) {
	rows, err := consumers.query(ctx, r.q, "SELECT "+consumers.all()+" FROM consumers x WHERE x.id IN "+ids.marks()+" ORDER BY x.id", ids...)
	at := make(map[string]*snapshot.Consumer, len(rows))
	w.Consumers = make([]snapshot.Consumer, len(rows))
	for i, c := range rows {
		w.Consumers[i] = snapshot.Consumer{ID: c.ID, Kind: c.Kind, Labels: c.Labels, State: c.State}
		at[c.ID] = &w.Consumers[i]
	}
	return at, err
}

func (r reader) wireConsumers(ctx context.Context, ids in, w *snapshot.Snapshot) error {
	at, err := r.wireIdentities(ctx, ids, w)
	if err != nil {
		return err
	}
	if err := r.wireTokens(ctx, ids, at); err != nil {
		return err
	}
	if err := r.wireGrants(ctx, ids, at); err != nil {
		return err
	}
	return r.wireOverrides(ctx, ids, at)
}

func (r reader) wireTokens(ctx context.Context, ids in, at map[string]*snapshot.Consumer) error {
	rows, err := tokens.query(ctx, r.q, "SELECT "+tokens.all()+" FROM tokens x WHERE x.consumer IN "+ids.marks()+" ORDER BY x.id", ids...)
	for _, t := range rows {
		w := snapshot.Token{ID: t.ID, SHA256: t.sha256, Revoked: t.Revoked}
		if !t.Expires.IsZero() {
			w.Expires = t.Expires.Unix()
		}
		c := at[t.Consumer]
		c.Tokens = append(c.Tokens, w)
	}
	return err
}

// wireGrants reads what a gateway needs of grants: there are more of them than of
// all else.
func (r reader) wireGrants(ctx context.Context, ids in, at map[string]*snapshot.Consumer) error {
	return r.each(ctx, "SELECT x.id, x.consumer, x.target, x.spec FROM grants x WHERE x.consumer IN "+ids.marks()+" ORDER BY x.consumer, x.id", ids,
		func(rows *sql.Rows) error {
			var g manager.Grant
			if err := rows.Scan(&g.ID, &g.Consumer, &g.Target, jsonText{&g.GrantSpec}); err != nil {
				return err
			}
			w, err := g.Wire()
			if err != nil {
				return err
			}
			c := at[g.Consumer]
			c.Grants = append(c.Grants, w)
			return nil
		})
}

func (r reader) wireOverrides(ctx context.Context, ids in, at map[string]*snapshot.Consumer) error {
	return r.each(ctx, "SELECT x.consumer, x.target, x.credential FROM overrides x WHERE x.consumer IN "+ids.marks(), ids,
		func(rows *sql.Rows) error {
			var consumer, target, credential string
			if err := rows.Scan(&consumer, &target, &credential); err != nil {
				return err
			}
			c := at[consumer]
			if c.Credentials == nil {
				c.Credentials = map[string]string{}
			}
			c.Credentials[target] = credential
			return nil
		})
}

func (r reader) wireCredentials(ctx context.Context, ids in, w *snapshot.Snapshot) error {
	return r.each(ctx, `SELECT x.id, x.retired, x.current, x.last, COALESCE(v.upstream, '{}'), COALESCE(v.sealed, '[]')
		FROM credentials x LEFT JOIN credential_versions v ON v.credential = x.id AND v.number = x.current
		WHERE x.id IN `+ids.marks()+` ORDER BY x.id`, ids,
		func(rows *sql.Rows) error {
			var c snapshot.Credential
			var retired bool
			var last uint64
			if err := rows.Scan(&c.ID, &retired, &c.Version, &last, jsonText{&c.Upstream}, jsonText{&c.Sealed}); err != nil {
				return err
			}
			if retired {
				c = manager.Retired(c.ID, last+1)
			}
			w.Credentials = append(w.Credentials, c)
			return nil
		})
}

func (r reader) wireRemoved(ctx context.Context, w *snapshot.Snapshot) error {
	if w.Since == 0 {
		return nil
	}
	var gone snapshot.Removed
	for kind, list := range map[string]*[]string{entryConsumer: &gone.Consumers, entryTarget: &gone.Targets} {
		err := r.each(ctx, `SELECT id FROM entries WHERE kind = $1 AND generation > $2 AND removed AND born <= $2 ORDER BY id`,
			[]any{kind, w.Since}, func(rows *sql.Rows) error {
				var id string
				err := rows.Scan(&id)
				*list = append(*list, id)
				w.Removed = &gone
				return err
			})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r reader) each(ctx context.Context, query string, args []any, fn func(*sql.Rows) error) error {
	rows, err := r.q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
