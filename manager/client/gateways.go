package client

import (
	"context"
	"net/url"

	"keyward/manager"
)

// Status returns the state of the Manager as a whole.
func (c *Client) Status(ctx context.Context) (manager.Status, error) {
	return get[manager.Status](ctx, c, "/v1/status", nil)
}

// An EventFilter narrows a list of audit events. The zero value takes all.
type EventFilter struct {
	Kind   manager.Kind
	Object string
	Actor  string
}

// Events returns a page of audit events, oldest first.
func (c *Client) Events(ctx context.Context, f EventFilter, p manager.Page) (manager.List[manager.Event], error) {
	q := url.Values{"kind": {string(f.Kind)}, "object": {f.Object}, "actor": {f.Actor}}
	return list[manager.Event](ctx, c, "/v1/events", q, p)
}

// CreateGateway makes a gateway known and issues its token.
func (c *Client) CreateGateway(ctx context.Context, r Request, spec manager.GatewaySpec) (manager.Issued[manager.Gateway], Change, error) {
	return issue[manager.Gateway](ctx, c, "POST /v1/gateways", r, spec)
}

// Gateway returns a gateway.
func (c *Client) Gateway(ctx context.Context, id string) (manager.Gateway, error) {
	return get[manager.Gateway](ctx, c, "/v1/gateways/"+url.PathEscape(id), nil)
}

// Gateways returns a page of gateways.
func (c *Client) Gateways(ctx context.Context, p manager.Page) (manager.List[manager.Gateway], error) {
	return list[manager.Gateway](ctx, c, "/v1/gateways", nil, p)
}

// RotateGateway issues a gateway a new token.
func (c *Client) RotateGateway(ctx context.Context, r Request, id string) (manager.Issued[manager.Gateway], Change, error) {
	return issue[manager.Gateway](ctx, c, "POST /v1/gateways/"+url.PathEscape(id)+"/rotate", r, nil)
}

// DeleteGateway ends a gateway's access to the Manager.
func (c *Client) DeleteGateway(ctx context.Context, r Request, id string) (Change, error) {
	return c.call(ctx, "DELETE /v1/gateways/"+url.PathEscape(id), nil, r, nil, nil)
}

// IssueAdminToken issues an admin token. Its text is in the answer alone.
func (c *Client) IssueAdminToken(ctx context.Context, r Request, spec manager.AdminTokenSpec) (manager.Issued[manager.AdminToken], Change, error) {
	return issue[manager.AdminToken](ctx, c, "POST /v1/admin-tokens", r, spec)
}

// AdminToken returns what is known of an admin token.
func (c *Client) AdminToken(ctx context.Context, id string) (manager.AdminToken, error) {
	return get[manager.AdminToken](ctx, c, "/v1/admin-tokens/"+url.PathEscape(id), nil)
}

// AdminTokens returns a page of admin tokens.
func (c *Client) AdminTokens(ctx context.Context, p manager.Page) (manager.List[manager.AdminToken], error) {
	return list[manager.AdminToken](ctx, c, "/v1/admin-tokens", nil, p)
}

// DeleteAdminToken ends an admin token.
func (c *Client) DeleteAdminToken(ctx context.Context, r Request, id string) (Change, error) {
	return c.call(ctx, "DELETE /v1/admin-tokens/"+url.PathEscape(id), nil, r, nil, nil)
}

// AddSealingKey makes a public key of gateways known.
func (c *Client) AddSealingKey(ctx context.Context, r Request, spec manager.SealingKeySpec) (manager.SealingKey, Change, error) {
	return send[manager.SealingKey](ctx, c, "POST /v1/sealing-keys", r, spec)
}

// SealingKey returns a public key of gateways.
func (c *Client) SealingKey(ctx context.Context, id string) (manager.SealingKey, error) {
	return get[manager.SealingKey](ctx, c, "/v1/sealing-keys/"+url.PathEscape(id), nil)
}

// SealingKeys returns a page of public keys of gateways, to which credentials
// are sealed.
func (c *Client) SealingKeys(ctx context.Context, p manager.Page) (manager.List[manager.SealingKey], error) {
	return list[manager.SealingKey](ctx, c, "/v1/sealing-keys", nil, p)
}

// RemoveSealingKey lets nothing more be sealed to a key.
func (c *Client) RemoveSealingKey(ctx context.Context, r Request, id string) (Change, error) {
	return c.call(ctx, "DELETE /v1/sealing-keys/"+url.PathEscape(id), nil, r, nil, nil)
}
