package client

import (
	"context"
	"net/url"

	"keyward/manager"
)

// CreatePolicy keeps a policy version.
func (c *Client) CreatePolicy(ctx context.Context, r Request, spec manager.PolicySpec) (manager.PolicyText, Change, error) {
	return send[manager.PolicyText](ctx, c, "POST /v1/policies", r, spec)
}

// Policy returns a policy version.
func (c *Client) Policy(ctx context.Context, id string) (manager.PolicyText, error) {
	return get[manager.PolicyText](ctx, c, "/v1/policies/"+url.PathEscape(id), nil)
}

// Policies returns a page of policy versions, without their text.
func (c *Client) Policies(ctx context.Context, p manager.Page) (manager.List[manager.Policy], error) {
	return list[manager.Policy](ctx, c, "/v1/policies", nil, p)
}

// CheckPolicy compiles a policy without keeping it. An error that is
// [manager.ErrInvalid] says what is wrong where.
func (c *Client) CheckPolicy(ctx context.Context, src manager.PolicySource) error {
	_, err := c.call(ctx, "POST /v1/policy/check", nil, Request{}, src, nil)
	return err
}

// TestPolicy runs the tests of a policy without keeping it.
func (c *Client) TestPolicy(ctx context.Context, src manager.PolicySource) (manager.PolicyTests, error) {
	t, _, err := send[manager.PolicyTests](ctx, c, "POST /v1/policy/test", Request{}, src)
	return t, err
}

// DiffPolicy compares a policy version with another, or with the live one when
// from is empty.
func (c *Client) DiffPolicy(ctx context.Context, from, to string) (string, error) {
	q := url.Values{}
	if from != "" {
		q.Set("from", from)
	}
	d, err := get[struct {
		Diff string `json:"diff"`
	}](ctx, c, "/v1/policies/"+url.PathEscape(to)+"/diff", q)
	return d.Diff, err
}

// PublishPolicy lets a policy version decide.
func (c *Client) PublishPolicy(ctx context.Context, r Request, id string) (manager.Policy, Change, error) {
	return send[manager.Policy](ctx, c, "POST /v1/policies/"+url.PathEscape(id)+"/publish", r, nil)
}

// PublishPolicyInstead is PublishPolicy, unless another version than live decides
// when it comes to it: then the error is [manager.ErrVersion].
func (c *Client) PublishPolicyInstead(ctx context.Context, r Request, id, live string) (manager.Policy, Change, error) {
	var p manager.Policy
	change, err := c.call(ctx, "POST /v1/policies/"+url.PathEscape(id)+"/publish", url.Values{"instead": {live}}, r, nil, &p)
	return p, change, err
}

// RollbackPolicy lets the version decide that was live before.
func (c *Client) RollbackPolicy(ctx context.Context, r Request) (manager.Policy, Change, error) {
	return send[manager.Policy](ctx, c, "POST /v1/policy/rollback", r, nil)
}
