package client

import (
	"context"
	"net/url"
	"strconv"

	"keyward/manager"
)

// CreateWorker makes a Worker. It runs once it has no task any more.
func (c *Client) CreateWorker(ctx context.Context, r Request, n manager.NewWorker) (manager.Worker, Change, error) {
	return send[manager.Worker](ctx, c, "POST /v1/workers", r, n)
}

// Worker returns a Worker with its health.
func (c *Client) Worker(ctx context.Context, id string) (manager.WatchedWorker, error) {
	return get[manager.WatchedWorker](ctx, c, "/v1/workers/"+url.PathEscape(id), nil)
}

// WorkerStatus returns a Worker with the facts of its container.
func (c *Client) WorkerStatus(ctx context.Context, id string) (manager.WorkerStatus, error) {
	return get[manager.WorkerStatus](ctx, c, "/v1/workers/"+url.PathEscape(id)+"/status", nil)
}

// WorkerLogs returns the end of what a Worker wrote: its own text, which may hold
// anything.
func (c *Client) WorkerLogs(ctx context.Context, id string, lines int) ([]byte, error) {
	var b []byte
	_, err := c.call(ctx, "GET /v1/workers/"+url.PathEscape(id)+"/logs", url.Values{"lines": {strconv.Itoa(lines)}}, Request{}, nil, &b)
	return b, err
}

// Workers returns a page of Workers with their health; those of one state alone,
// unless it is empty.
func (c *Client) Workers(ctx context.Context, health manager.HealthState, p manager.Page) (manager.List[manager.WatchedWorker], error) {
	return list[manager.WatchedWorker](ctx, c, "/v1/workers", url.Values{"health": {string(health)}}, p)
}

// UpdateWorker changes what is chosen of a Worker, and what it may use.
func (c *Client) UpdateWorker(ctx context.Context, r Request, id string, u manager.WorkerUpdate) (manager.Worker, Change, error) {
	return send[manager.Worker](ctx, c, "PUT /v1/workers/"+url.PathEscape(id), r, u)
}

// SuspendWorker suspends a Worker until it is resumed.
func (c *Client) SuspendWorker(ctx context.Context, r Request, id string) (manager.Worker, Change, error) {
	return send[manager.Worker](ctx, c, "POST /v1/workers/"+url.PathEscape(id)+"/suspend", r, nil)
}

// ResumeWorker resumes a suspended Worker.
func (c *Client) ResumeWorker(ctx context.Context, r Request, id string) (manager.Worker, Change, error) {
	return send[manager.Worker](ctx, c, "POST /v1/workers/"+url.PathEscape(id)+"/resume", r, nil)
}

// WakeWorker lets a Worker go on that is asleep.
func (c *Client) WakeWorker(ctx context.Context, r Request, id string) (manager.Worker, Change, error) {
	return send[manager.Worker](ctx, c, "POST /v1/workers/"+url.PathEscape(id)+"/wake", r, nil)
}

// ResetWorker ends a Worker's tokens, and gives it a fresh container.
func (c *Client) ResetWorker(ctx context.Context, r Request, id string) (manager.Worker, Change, error) {
	return send[manager.Worker](ctx, c, "POST /v1/workers/"+url.PathEscape(id)+"/reset", r, nil)
}

// RotateWorker gives a Worker a new token.
func (c *Client) RotateWorker(ctx context.Context, r Request, id string, rotation manager.WorkerRotation) (manager.Worker, Change, error) {
	return send[manager.Worker](ctx, c, "POST /v1/workers/"+url.PathEscape(id)+"/rotate", r, rotation)
}

// DeleteWorker deletes a Worker. It is gone once it can't be found any more.
func (c *Client) DeleteWorker(ctx context.Context, r Request, id string) (manager.Worker, Change, error) {
	return send[manager.Worker](ctx, c, "DELETE /v1/workers/"+url.PathEscape(id), r, nil)
}
