package store

import (
	"context"
	"database/sql"
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
	columns: []string{"sha256"},
	meta:    func(g *gatewayRow) *manager.Meta { return &g.Meta },
	fields:  func(g *gatewayRow) []any { return []any{&g.sha256} },
}

// Gateway returns a gateway.
func (r reader) Gateway(ctx context.Context, id string) (manager.Gateway, error) {
	row, err := gateways.get(ctx, r.q, id)
	if err != nil {
		return row.Gateway, err
	}
	return row.Gateway, r.heard(ctx, []*manager.Gateway{&row.Gateway})
}

// Gateways returns a page of gateways.
func (r reader) Gateways(ctx context.Context, p manager.Page) (manager.List[manager.Gateway], error) {
	var l manager.List[manager.Gateway]
	rows, err := gateways.page(ctx, r.q, p, "1 = 1")
	if err != nil {
		return l, err
	}
	l = manager.List[manager.Gateway]{Items: make([]manager.Gateway, len(rows.Items)), After: rows.After}
	list := make([]*manager.Gateway, len(rows.Items))
	for i, row := range rows.Items {
		l.Items[i] = row.Gateway
		list[i] = &l.Items[i]
	}
	return l, r.heard(ctx, list)
}

// heard fills in what gateways, in the order of their IDs, have confirmed.
func (r reader) heard(ctx context.Context, list []*manager.Gateway) error {
	if len(list) == 0 {
		return nil
	}
	st, err := r.state(ctx)
	if err != nil {
		return err
	}
	byID := make(map[string]*manager.Gateway, len(list))
	for _, g := range list {
		byID[g.ID] = g
	}
	err = r.each(ctx, `SELECT gateway, id, build, epoch, confirmed, last_seen FROM gateway_instances
		WHERE gateway >= $1 AND gateway <= $2 ORDER BY gateway, id`, []any{list[0].ID, list[len(list)-1].ID},
		func(rows *sql.Rows) error {
			var gateway string
			var i manager.GatewayInstance
			if err := rows.Scan(&gateway, &i.ID, &i.Build, &i.Epoch, &i.Confirmed, milli{&i.LastSeen}); err != nil {
				return err
			}
			if g := byID[gateway]; g != nil {
				g.Instances = append(g.Instances, i)
			}
			return nil
		})
	for _, g := range list {
		g.Sum(st, r.now())
	}
	return err
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
	if err := t.record(ctx, manager.KindGateway, verb, row.ID, before, row.Gateway); err != nil {
		return manager.Issued[manager.Gateway]{}, err
	}
	err := t.heard(ctx, []*manager.Gateway{&row.Gateway})
	return manager.Issued[manager.Gateway]{Object: row.Gateway, Secret: secret}, err
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

// maxInstances bounds what one gateway's token can make the store keep.
const maxInstances = 1000

// forgetInstance is after how long a silent instance is forgotten.
const forgetInstance = time.Hour

// SeenGateway notes what an instance of a gateway confirmed just now.
func (s *Store) SeenGateway(ctx context.Context, gateway string, i manager.GatewayInstance) error {
	err := s.observe(ctx, func(exec execFunc) error {
		return exec(`INSERT INTO gateway_instances (gateway, id, build, epoch, confirmed, last_seen)
			SELECT id, $2, $3, $4, CAST($5 AS BIGINT), CAST($6 AS BIGINT) FROM gateways WHERE id = $1 AND
				(SELECT COUNT(*) FROM gateway_instances WHERE gateway = $1 AND id <> $2) < $7
			ON CONFLICT (gateway, id) DO UPDATE SET build = excluded.build, epoch = excluded.epoch,
				confirmed = excluded.confirmed, last_seen = excluded.last_seen, ended = 0`,
			gateway, i.ID, i.Build, i.Epoch, i.Confirmed, s.now().UnixMilli(), maxInstances)
	})
	if err == nil {
		s.seen.give()
	}
	return err
}
