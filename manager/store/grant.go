package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

var grants = table[manager.Grant]{
	name:    "grants",
	kind:    manager.KindGrant,
	columns: []string{"consumer", "target", "expires", "spec"},
	meta:    func(g *manager.Grant) *manager.Meta { return &g.Meta },
	fields: func(g *manager.Grant) []any {
		// The spec holds the expiry too; the column is for the database.
		return []any{&g.Consumer, &g.Target, milli{&g.Expires}, jsonText{&g.GrantSpec}}
	},
}

// Grant returns a grant.
func (r reader) Grant(ctx context.Context, id string) (manager.Grant, error) {
	return grants.get(ctx, r.q, id)
}

// A GrantFilter narrows a list of grants. The zero value takes all.
type GrantFilter struct {
	Consumer string // empty: of every consumer
	Target   string // empty: for every target
}

func (f GrantFilter) where() (string, []any) {
	conds, args := []string{"1 = 1"}, []any{}
	add := func(column, v string) {
		if v != "" {
			args = append(args, v)
			conds = append(conds, fmt.Sprintf("x.%s = $%d", column, len(args)))
		}
	}
	add("consumer", f.Consumer)
	add("target", f.Target)
	return strings.Join(conds, " AND "), args
}

// Grants returns a page of grants.
func (r reader) Grants(ctx context.Context, f GrantFilter, p manager.Page) (manager.List[manager.Grant], error) {
	where, args := f.where()
	return grants.page(ctx, r.q, p, where, args...)
}

// Access says who can do what: a page of grants, each with whether it opens
// anything now. With a tool it takes only those that name it or all tools, so
// that a page may hold fewer than its limit.
func (s *Store) Access(ctx context.Context, f GrantFilter, tool string, p manager.Page) (manager.List[manager.Access], error) {
	var l manager.List[manager.Access]
	err := s.view(ctx, func(r reader) error {
		page, err := r.Grants(ctx, f, p)
		if err != nil {
			return err
		}
		l.Items, l.After = []manager.Access{}, page.After
		known := map[string]string{} // consumer to what is wrong with it
		for _, g := range page.Items {
			if tool != "" && !slices.Contains(g.Tools, tool) && !slices.Contains(g.Tools, "*") {
				continue
			}
			why, ok := known[g.Consumer]
			if !ok {
				if why, err = r.whyNot(ctx, g.Consumer); err != nil {
					return err
				}
				known[g.Consumer] = why
			}
			if why == "" && !g.Expires.IsZero() && !r.now().Before(g.Expires) {
				why = "grant_expired"
			}
			l.Items = append(l.Items, manager.Access{Grant: g, Effective: why == "", Why: why})
		}
		return nil
	})
	return l, err
}

// whyNot says what keeps a consumer from using any grant; empty: nothing.
func (r reader) whyNot(ctx context.Context, consumer string) (string, error) {
	var state snapshot.State
	var live bool
	err := r.q.QueryRowContext(ctx, `SELECT c.state, EXISTS (SELECT 1 FROM tokens t
		WHERE t.consumer = c.id AND NOT t.revoked AND (t.expires = 0 OR t.expires > $1))
		FROM consumers c WHERE c.id = $2`, r.now().UnixMilli(), consumer).Scan(&state, &live)
	switch {
	case err != nil:
		return "", err
	case state != snapshot.Active:
		return "consumer_" + string(state), nil
	case !live:
		return "no_live_token", nil
	default:
		return "", nil
	}
}

// CreateGrant makes a grant.
func (t *Tx) CreateGrant(ctx context.Context, n manager.NewGrant) (manager.Grant, error) {
	g := manager.Grant{Consumer: n.Consumer, Target: n.Target, GrantSpec: n.GrantSpec}
	if err := n.Validate(t.at); err != nil {
		return g, err
	}
	c, err := t.Consumer(ctx, n.Consumer)
	if err != nil {
		return g, asReference(err, "consumer")
	}
	if c.State == snapshot.Revoked {
		return g, &manager.Error{Kind: manager.KindConsumer, ID: c.ID, Err: manager.ErrState, Why: "it is revoked"}
	}
	tg, err := t.Target(ctx, n.Target)
	if err != nil {
		return g, asReference(err, "target")
	}
	if err := n.Fits(tg.Kind); err != nil {
		return g, err
	}
	var have int
	if err := t.q.QueryRowContext(ctx, `SELECT COUNT(*) FROM grants WHERE consumer = $1`, c.ID).Scan(&have); err != nil {
		return g, err
	}
	if have >= manager.MaxGrantsPerConsumer {
		return g, &manager.Error{Kind: manager.KindConsumer, ID: c.ID, Err: manager.ErrLimit, Why: "it has as many grants as one may have"}
	}
	if g.ID, err = manager.NewID("gr-", t.at, t.random); err != nil {
		return g, err
	}
	g.Expires = cut(g.Expires)
	if err := grants.insert(ctx, t, &g); err != nil {
		return g, err
	}
	return g, t.grantDone(ctx, "create", g, nil, g)
}

// UpdateGrant changes a grant of a version (0: whichever).
func (t *Tx) UpdateGrant(ctx context.Context, id string, version uint64, spec manager.GrantSpec) (manager.Grant, error) {
	if err := spec.Validate(t.at); err != nil {
		return manager.Grant{}, err
	}
	before, after, err := grants.edit(ctx, t, id, version, func(g *manager.Grant) error {
		tg, err := t.Target(ctx, g.Target)
		if err != nil {
			return err
		}
		g.GrantSpec = spec
		g.Expires = cut(spec.Expires)
		return spec.Fits(tg.Kind)
	})
	if err != nil {
		return before, err
	}
	return after, t.grantDone(ctx, "update", after, before, after)
}

// RevokeGrant takes a grant away.
func (t *Tx) RevokeGrant(ctx context.Context, id string, version uint64) error {
	g, err := grants.checked(ctx, t, id, version)
	if err != nil {
		return err
	}
	if err := grants.delete(ctx, t, id); err != nil {
		return err
	}
	return t.grantDone(ctx, "revoke", g, g, nil)
}

func (t *Tx) grantDone(ctx context.Context, verb string, g manager.Grant, before, after any) error {
	if err := t.touch(ctx, entryConsumer, g.Consumer, false); err != nil {
		return err
	}
	return t.record(ctx, manager.KindGrant, verb, g.ID, before, after)
}
