package client

import (
	"context"
	"net/url"

	"keyward/manager"
)

// CreateRoom makes a room that several Workers share.
func (c *Client) CreateRoom(ctx context.Context, r Request, n manager.NewRoom) (manager.Room, Change, error) {
	return send[manager.Room](ctx, c, "POST /v1/rooms", r, n)
}

// Room returns a room.
func (c *Client) Room(ctx context.Context, id string) (manager.Room, error) {
	return get[manager.Room](ctx, c, "/v1/rooms/"+url.PathEscape(id), nil)
}

// Rooms returns a page of rooms, of all kinds or of one.
func (c *Client) Rooms(ctx context.Context, kind manager.RoomKind, p manager.Page) (manager.List[manager.Room], error) {
	return list[manager.Room](ctx, c, "/v1/rooms", url.Values{"kind": {string(kind)}}, p)
}

// UpdateRoom changes a room's settings.
func (c *Client) UpdateRoom(ctx context.Context, r Request, id string, spec manager.RoomSpec) (manager.Room, Change, error) {
	return send[manager.Room](ctx, c, "PUT /v1/rooms/"+url.PathEscape(id), r, spec)
}

// DeleteRoom lets a shared room be. In Matrix it stays.
func (c *Client) DeleteRoom(ctx context.Context, r Request, id string) (Change, error) {
	return c.call(ctx, "DELETE /v1/rooms/"+url.PathEscape(id), nil, r, nil, nil)
}

// AddRoomMember puts a Worker into a shared room.
func (c *Client) AddRoomMember(ctx context.Context, r Request, id, worker string) (manager.Room, Change, error) {
	return send[manager.Room](ctx, c, "PUT /v1/rooms/"+url.PathEscape(id)+"/members/"+url.PathEscape(worker), r, nil)
}

// RemoveRoomMember takes a Worker out of a shared room.
func (c *Client) RemoveRoomMember(ctx context.Context, r Request, id, worker string) (manager.Room, Change, error) {
	return send[manager.Room](ctx, c, "DELETE /v1/rooms/"+url.PathEscape(id)+"/members/"+url.PathEscape(worker), r, nil)
}
