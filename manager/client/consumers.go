package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

// CreateConsumer makes a consumer.
func (c *Client) CreateConsumer(ctx context.Context, r Request, spec manager.ConsumerSpec) (manager.Consumer, Change, error) {
	return send[manager.Consumer](ctx, c, "POST /v1/consumers", r, spec)
}

// Consumer returns a consumer.
func (c *Client) Consumer(ctx context.Context, id string) (manager.Consumer, error) {
	return get[manager.Consumer](ctx, c, "/v1/consumers/"+url.PathEscape(id), nil)
}

// Consumers returns a page of consumers, of all states or of one.
func (c *Client) Consumers(ctx context.Context, state snapshot.State, p manager.Page) (manager.List[manager.Consumer], error) {
	return list[manager.Consumer](ctx, c, "/v1/consumers", url.Values{"state": {string(state)}}, p)
}

// UpdateConsumer changes a consumer's labels.
func (c *Client) UpdateConsumer(ctx context.Context, r Request, id string, u manager.ConsumerUpdate) (manager.Consumer, Change, error) {
	return send[manager.Consumer](ctx, c, "PUT /v1/consumers/"+url.PathEscape(id), r, u)
}

// SuspendConsumer suspends a consumer until it is resumed.
func (c *Client) SuspendConsumer(ctx context.Context, r Request, id string) (manager.Consumer, Change, error) {
	return send[manager.Consumer](ctx, c, "POST /v1/consumers/"+url.PathEscape(id)+"/suspend", r, nil)
}

// ResumeConsumer resumes a suspended consumer.
func (c *Client) ResumeConsumer(ctx context.Context, r Request, id string) (manager.Consumer, Change, error) {
	return send[manager.Consumer](ctx, c, "POST /v1/consumers/"+url.PathEscape(id)+"/resume", r, nil)
}

// RevokeConsumer revokes a consumer for good.
func (c *Client) RevokeConsumer(ctx context.Context, r Request, id string) (manager.Consumer, Change, error) {
	return send[manager.Consumer](ctx, c, "POST /v1/consumers/"+url.PathEscape(id)+"/revoke", r, nil)
}

// DeleteConsumer deletes a consumer with its tokens and grants.
func (c *Client) DeleteConsumer(ctx context.Context, r Request, id string) (Change, error) {
	return c.call(ctx, "DELETE /v1/consumers/"+url.PathEscape(id), nil, r, nil, nil)
}

// SetConsumerCredential gives a consumer a credential of its own for a target.
func (c *Client) SetConsumerCredential(ctx context.Context, r Request, id, target, credential string) (manager.Consumer, Change, error) {
	body := map[string]string{"credential": credential}
	return send[manager.Consumer](ctx, c, "PUT /v1/consumers/"+url.PathEscape(id)+"/credentials/"+url.PathEscape(target), r, body)
}

// ClearConsumerCredential lets a consumer use the target's credential again.
func (c *Client) ClearConsumerCredential(ctx context.Context, r Request, id, target string) (manager.Consumer, Change, error) {
	return send[manager.Consumer](ctx, c, "DELETE /v1/consumers/"+url.PathEscape(id)+"/credentials/"+url.PathEscape(target), r, nil)
}

// IssueToken issues a consumer token. Its text is in the answer alone.
func (c *Client) IssueToken(ctx context.Context, r Request, spec manager.TokenSpec) (manager.Issued[manager.Token], Change, error) {
	return issue[manager.Token](ctx, c, "POST /v1/tokens", r, spec)
}

// Token returns what is known of a consumer token.
func (c *Client) Token(ctx context.Context, id string) (manager.Token, error) {
	return get[manager.Token](ctx, c, "/v1/tokens/"+url.PathEscape(id), nil)
}

// A TokenFilter selects tokens. The zero value selects all.
type TokenFilter struct {
	Consumer string    // empty: of all
	Replaced bool      // only those that were rotated and still work
	Before   time.Time // only those that were issued before and still work; zero: all
}

// Tokens returns a page of tokens.
func (c *Client) Tokens(ctx context.Context, f TokenFilter, p manager.Page) (manager.List[manager.Token], error) {
	query := url.Values{"consumer": {f.Consumer}, "replaced": {strconv.FormatBool(f.Replaced)}}
	if !f.Before.IsZero() {
		query.Set("issued_before", f.Before.UTC().Format(time.RFC3339))
	}
	return list[manager.Token](ctx, c, "/v1/tokens", query, p)
}

// RotateToken issues a token's successor.
func (c *Client) RotateToken(ctx context.Context, r Request, id string, rotation manager.TokenRotation) (manager.Issued[manager.Token], Change, error) {
	return issue[manager.Token](ctx, c, "POST /v1/tokens/"+url.PathEscape(id)+"/rotate", r, rotation)
}

// RevokeToken ends a token.
func (c *Client) RevokeToken(ctx context.Context, r Request, id string) (manager.Token, Change, error) {
	return send[manager.Token](ctx, c, "POST /v1/tokens/"+url.PathEscape(id)+"/revoke", r, nil)
}

// CreateGrant lets a consumer use a target.
func (c *Client) CreateGrant(ctx context.Context, r Request, n manager.NewGrant) (manager.Grant, Change, error) {
	return send[manager.Grant](ctx, c, "POST /v1/grants", r, n)
}

// Grant returns a grant.
func (c *Client) Grant(ctx context.Context, id string) (manager.Grant, error) {
	return get[manager.Grant](ctx, c, "/v1/grants/"+url.PathEscape(id), nil)
}

// Grants returns a page of grants, of one consumer and for one target unless
// these are empty.
func (c *Client) Grants(ctx context.Context, consumer, target string, p manager.Page) (manager.List[manager.Grant], error) {
	return list[manager.Grant](ctx, c, "/v1/grants", url.Values{"consumer": {consumer}, "target": {target}}, p)
}

// UpdateGrant changes a grant.
func (c *Client) UpdateGrant(ctx context.Context, r Request, id string, spec manager.GrantSpec) (manager.Grant, Change, error) {
	return send[manager.Grant](ctx, c, "PUT /v1/grants/"+url.PathEscape(id), r, spec)
}

// RevokeGrant takes a grant away.
func (c *Client) RevokeGrant(ctx context.Context, r Request, id string) (Change, error) {
	return c.call(ctx, "DELETE /v1/grants/"+url.PathEscape(id), nil, r, nil, nil)
}

// Access says who can do what, of one consumer, for one target and for one tool
// unless these are empty.
func (c *Client) Access(ctx context.Context, consumer, target, tool string, p manager.Page) (manager.List[manager.Access], error) {
	return list[manager.Access](ctx, c, "/v1/access", url.Values{"consumer": {consumer}, "target": {target}, "tool": {tool}}, p)
}
