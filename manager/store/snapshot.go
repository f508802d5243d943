package store

import (
	"context"
	"database/sql"
	"encoding/base64"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

// Snapshot returns all that a gateway needs, at the present generation.
func (s *Store) Snapshot(ctx context.Context) (snapshot.Snapshot, error) {
	return s.Changes(ctx, "", 0)
}

// Changes returns what changed since a generation of an epoch. It is whole, with
// Since zero, when there is no way from there to here: for another epoch, for
// generation 0, and for one that is yet to come.
func (s *Store) Changes(ctx context.Context, epoch string, since uint64) (snapshot.Snapshot, error) {
	var w snapshot.Snapshot
	err := s.view(ctx, func(r reader) error {
		st, err := r.state(ctx)
		if err != nil {
			return err
		}
		if epoch != st.Epoch || since > st.Generation {
			since = 0
		}
		w = snapshot.Snapshot{Format: snapshot.Format, Epoch: st.Epoch, Generation: st.Generation, Since: since}
		for _, part := range []func(context.Context, *snapshot.Snapshot) error{
			r.wirePolicy, r.wireTargets, r.wireConsumers, r.wireCredentials, r.wireRemoved,
		} {
			if err := part(ctx, &w); err != nil {
				return err
			}
		}
		return nil
	})
	return w, err
}

// changed joins a table, called x, to the entries that changed since $1.
func changed(table, entry, column string) string {
	return " FROM " + table + " x JOIN entries e ON e.kind = '" + entry + "' AND e.id = x." + column + " AND e.generation > $1 AND NOT e.removed"
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

func (r reader) wireTargets(ctx context.Context, w *snapshot.Snapshot) error {
	rows, err := targets.query(ctx, r.q, "SELECT "+targets.all()+changed("targets", entryTarget, "id")+" ORDER BY x.id", w.Since)
	for _, t := range rows {
		w.Targets = append(w.Targets, t.Wire(t.ID))
	}
	return err
}

func (r reader) wireConsumers(ctx context.Context, w *snapshot.Snapshot) error {
	rows, err := consumers.query(ctx, r.q, "SELECT "+consumers.all()+changed("consumers", entryConsumer, "id")+" ORDER BY x.id", w.Since)
	if err != nil {
		return err
	}
	at := make(map[string]*snapshot.Consumer, len(rows))
	w.Consumers = make([]snapshot.Consumer, len(rows))
	for i, c := range rows {
		w.Consumers[i] = snapshot.Consumer{ID: c.ID, Kind: c.Kind, Labels: c.Labels, State: c.State}
		at[c.ID] = &w.Consumers[i]
	}
	if err := r.wireTokens(ctx, w.Since, at); err != nil {
		return err
	}
	if err := r.wireGrants(ctx, w.Since, at); err != nil {
		return err
	}
	return r.wireOverrides(ctx, w.Since, at)
}

func (r reader) wireTokens(ctx context.Context, since uint64, at map[string]*snapshot.Consumer) error {
	rows, err := tokens.query(ctx, r.q, "SELECT "+tokens.all()+changed("tokens", entryConsumer, "consumer")+" ORDER BY x.id", since)
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

func (r reader) wireGrants(ctx context.Context, since uint64, at map[string]*snapshot.Consumer) error {
	rows, err := grants.query(ctx, r.q, "SELECT "+grants.all()+changed("grants", entryConsumer, "consumer")+" ORDER BY x.id", since)
	if err != nil {
		return err
	}
	for _, g := range rows {
		w, err := g.Wire()
		if err != nil {
			return err
		}
		c := at[g.Consumer]
		c.Grants = append(c.Grants, w)
	}
	return nil
}

func (r reader) wireOverrides(ctx context.Context, since uint64, at map[string]*snapshot.Consumer) error {
	return r.each(ctx, "SELECT x.consumer, x.target, x.credential"+changed("overrides", entryConsumer, "consumer"), []any{since},
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

func (r reader) wireCredentials(ctx context.Context, w *snapshot.Snapshot) error {
	return r.each(ctx, "SELECT x.id, x.retired, x.current, x.last, COALESCE(v.upstream, '{}'), COALESCE(v.sealed, '[]')"+
		changed("credentials", entryCredential, "id")+`
		LEFT JOIN credential_versions v ON v.credential = x.id AND v.number = x.current ORDER BY x.id`, []any{w.Since},
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
	lists := map[string]*[]string{
		entryConsumer: &gone.Consumers,
		entryTarget:   &gone.Targets,
	}
	err := r.each(ctx, `SELECT kind, id FROM entries WHERE removed AND generation > $1 AND born <= $1 ORDER BY kind, id`, []any{w.Since},
		func(rows *sql.Rows) error {
			var kind, id string
			if err := rows.Scan(&kind, &id); err != nil {
				return err
			}
			if l := lists[kind]; l != nil {
				*l = append(*l, id)
				w.Removed = &gone
			}
			return nil
		})
	return err
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
