package store

import (
	"context"
	"time"

	"keyward/manager"
)

type gatewayRow struct {
	manager.Gateway
	sha256 string
}

var gateways = table[gatewayRow]{
	name:    "gateways",
	kind:    manager.KindGateway,
	columns: []string{"sha256", "epoch", "confirmed", "last_seen"},
	meta:    func(g *gatewayRow) *manager.Meta { return &g.Meta },
	fields: func(g *gatewayRow) []any {
		return []any{&g.sha256, &g.Epoch, &g.Confirmed, milli{&g.LastSeen}}
	},
}

// shown returns a gateway as of a state of the Manager.
func (g gatewayRow) shown(st manager.Status, now time.Time) manager.Gateway {
	v := g.Gateway
	v.Behind = st.Generation
	if v.Epoch == st.Epoch && v.Confirmed <= st.Generation {
		v.Behind -= v.Confirmed
	}
	switch {
	case v.LastSeen.IsZero():
		v.Connection = "never"
	case now.Sub(v.LastSeen) > manager.GatewayLost:
		v.Connection = "lost"
	default:
		v.Connection = "connected"
	}
	return v
}

// Gateway returns a gateway.
func (r reader) Gateway(ctx context.Context, id string) (manager.Gateway, error) {
	row, err := gateways.get(ctx, r.q, id)
	if err != nil {
		return row.Gateway, err
	}
	st, err := r.state(ctx)
	return row.shown(st, r.now()), err
}

// Gateways returns a page of gateways.
func (r reader) Gateways(ctx context.Context, p manager.Page) (manager.List[manager.Gateway], error) {
	var l manager.List[manager.Gateway]
	rows, err := gateways.page(ctx, r.q, p, "1 = 1")
	if err != nil {
		return l, err
	}
	st, err := r.state(ctx)
	l = manager.List[manager.Gateway]{Items: make([]manager.Gateway, len(rows.Items)), After: rows.After}
	for i, row := range rows.Items {
		l.Items[i] = row.shown(st, r.now())
	}
	return l, err
}

// AuthenticateGateway returns the id of the gateway that holds a secret, or
// [manager.ErrForbidden].
func (r reader) AuthenticateGateway(ctx context.Context, secret string) (string, error) {
	row, err := gateways.one(ctx, r.q, "x.sha256 = $1", hexDigest(secret))
	if noRows(err) {
		err = manager.ErrForbidden
	}
	return row.ID, err
}

// CreateGateway makes a gateway known and issues its token.
func (t *Tx) CreateGateway(ctx context.Context, spec manager.GatewaySpec) (manager.Issued[manager.Gateway], error) {
	var none manager.Issued[manager.Gateway]
	if err := spec.Validate(); err != nil {
		return none, err
	}
	_, err := gateways.get(ctx, t.q, spec.ID)
	if err == nil {
		return none, &manager.Error{Kind: manager.KindGateway, ID: spec.ID, Err: manager.ErrExists}
	}
	secret, row, err := t.newGatewaySecret(gatewayRow{Gateway: manager.Gateway{Meta: manager.Meta{ID: spec.ID}}})
	if err != nil {
		return none, err
	}
	if err := gateways.insert(ctx, t, &row); err != nil {
		return none, err
	}
	return t.gatewayDone(ctx, "create", nil, secret, row)
}

// RotateGateway gives a gateway a new token; the old one ends at once.
func (t *Tx) RotateGateway(ctx context.Context, id string, version uint64) (manager.Issued[manager.Gateway], error) {
	var secret string
	before, after, err := gateways.edit(ctx, t, id, version, func(row *gatewayRow) (err error) {
		secret, *row, err = t.newGatewaySecret(*row)
		return err
	})
	if err != nil {
		return manager.Issued[manager.Gateway]{}, err
	}
	return t.gatewayDone(ctx, "rotate", before.Gateway, secret, after)
}

func (t *Tx) newGatewaySecret(row gatewayRow) (string, gatewayRow, error) {
	secret, err := manager.NewSecret(manager.GatewayPrefix, t.random)
	row.sha256 = hexDigest(secret)
	return secret, row, err
}

func (t *Tx) gatewayDone(ctx context.Context, verb string, before any, secret string, row gatewayRow) (manager.Issued[manager.Gateway], error) {
	st, err := t.state(ctx)
	if err != nil {
		return manager.Issued[manager.Gateway]{}, err
	}
	return manager.Issued[manager.Gateway]{Object: row.shown(st, t.at), Secret: secret},
		t.record(ctx, manager.KindGateway, verb, row.ID, before, row.Gateway)
}

// DeleteGateway ends a gateway's access to the Manager.
func (t *Tx) DeleteGateway(ctx context.Context, id string, version uint64) error {
	before, err := gateways.checked(ctx, t, id, version)
	if err != nil {
		return err
	}
	if err := gateways.delete(ctx, t, id); err != nil {
		return err
	}
	return t.record(ctx, manager.KindGateway, "delete", id, before.Gateway, nil)
}

// SeenGateway notes what a gateway confirmed just now.
func (s *Store) SeenGateway(ctx context.Context, id, epoch string, confirmed uint64) error {
	err := s.observe(ctx, func(exec execFunc) error {
		return exec(`UPDATE gateways SET epoch = $1, confirmed = $2, last_seen = $3 WHERE id = $4`,
			epoch, confirmed, s.now().UnixMilli(), id)
	})
	if err == nil {
		s.seen.give()
	}
	return err
}
