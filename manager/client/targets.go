package client

import (
	"context"
	"net/url"

	"keyward/manager"
)

// CreateTarget makes a target.
func (c *Client) CreateTarget(ctx context.Context, r Request, n manager.NewTarget) (manager.Target, Change, error) {
	return send[manager.Target](ctx, c, "POST /v1/targets", r, n)
}

// Target returns a target.
func (c *Client) Target(ctx context.Context, id string) (manager.Target, error) {
	return get[manager.Target](ctx, c, "/v1/targets/"+url.PathEscape(id), nil)
}

// Targets returns a page of targets.
func (c *Client) Targets(ctx context.Context, p manager.Page) (manager.List[manager.Target], error) {
	return list[manager.Target](ctx, c, "/v1/targets", nil, p)
}

// UpdateTarget changes a target.
func (c *Client) UpdateTarget(ctx context.Context, r Request, id string, spec manager.TargetSpec) (manager.Target, Change, error) {
	return send[manager.Target](ctx, c, "PUT /v1/targets/"+url.PathEscape(id), r, spec)
}

// DeleteTarget deletes a target with the grants for it.
func (c *Client) DeleteTarget(ctx context.Context, r Request, id string) (Change, error) {
	return c.call(ctx, "DELETE /v1/targets/"+url.PathEscape(id), nil, r, nil, nil)
}

// EnrolCredential enrols a key that was sealed to the gateways.
func (c *Client) EnrolCredential(ctx context.Context, r Request, spec manager.CredentialSpec) (manager.Credential, Change, error) {
	return send[manager.Credential](ctx, c, "POST /v1/credentials", r, spec)
}

// Credential returns what may be read of a credential.
func (c *Client) Credential(ctx context.Context, id string) (manager.Credential, error) {
	return get[manager.Credential](ctx, c, "/v1/credentials/"+url.PathEscape(id), nil)
}

// Credentials returns a page of credentials.
func (c *Client) Credentials(ctx context.Context, p manager.Page) (manager.List[manager.Credential], error) {
	return list[manager.Credential](ctx, c, "/v1/credentials", nil, p)
}

// RotateCredential puts a new version into use.
func (c *Client) RotateCredential(ctx context.Context, r Request, id string, rotation manager.CredentialRotation) (manager.Credential, Change, error) {
	return send[manager.Credential](ctx, c, "POST /v1/credentials/"+url.PathEscape(id)+"/versions", r, rotation)
}

// RevertCredential goes back to the newest version in its overlap.
func (c *Client) RevertCredential(ctx context.Context, r Request, id string) (manager.Credential, Change, error) {
	return send[manager.Credential](ctx, c, "POST /v1/credentials/"+url.PathEscape(id)+"/revert", r, nil)
}

// RetireCredential erases a credential.
func (c *Client) RetireCredential(ctx context.Context, r Request, id string) (manager.Credential, Change, error) {
	return send[manager.Credential](ctx, c, "POST /v1/credentials/"+url.PathEscape(id)+"/retire", r, nil)
}
