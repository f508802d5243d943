package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
)

// RoomPath is the input of a request for one room.
type RoomPath struct {
	ID string `path:"id" pattern:"^(manager|(worker|shared):[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?)$" maxLength:"70" doc:"manager, worker:CONSUMER or shared:NAME"`
}

// A RoomChange is the input of a change to one room.
type RoomChange struct {
	Mutation
	RoomPath
	IfMatch string `header:"If-Match" maxLength:"64" doc:"ETag of what the update is based on; * for whatever there is"`
}

func (c RoomChange) versioned() Versioned { return Versioned{IfMatch: c.IfMatch} }

type roomFilter struct {
	After string           `query:"after" pattern:"^[a-z0-9._:-]+$" maxLength:"70" doc:"The next of the page before; absent: from the start"`
	Limit int              `query:"limit" minimum:"1" maximum:"500" default:"100" doc:"Longest page"`
	Kind  manager.RoomKind `query:"kind" enum:"manager,worker,shared" doc:"Only of this kind"`
}

type createRoom struct {
	Mutation
	Body manager.NewRoom
}

type updateRoom struct {
	RoomChange
	Body manager.RoomSpec
}

type roomMember struct {
	RoomChange
	Worker string `path:"worker" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63"`
}

func (a *API) registerRooms() {
	const path = "/v1/rooms"
	write(a, creation("create-room", "POST "+path, "Make a room that several Workers share", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *createRoom) (*changed[manager.Room], error) {
			r, err := tx.CreateRoom(ctx, in.Body)
			return created(r, r.Meta, path), err
		})
	read(a, operation("list-rooms", "GET "+path, "List rooms", manager.Auditor),
		func(ctx context.Context, in *roomFilter) (*listed[manager.Room], error) {
			return listOf(a.store.Rooms(ctx, in.Kind, manager.Page{After: in.After, Limit: in.Limit}))
		})
	read(a, operation("get-room", "GET "+path+"/{id}", "Get a room", manager.Auditor),
		func(ctx context.Context, in *RoomPath) (*object[manager.Room], error) {
			r, err := a.store.Room(ctx, in.ID)
			return &object[manager.Room]{etag(r.Meta), r}, err
		})
	write(a, operation("update-room", "PUT "+path+"/{id}", "Change a room's settings", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *updateRoom) (*changed[manager.Room], error) {
			version, err := in.versioned().need()
			if err != nil {
				return nil, err
			}
			r, err := tx.UpdateRoom(ctx, in.ID, version, in.Body)
			return as(r, r.Meta), err
		})
	write(a, operation("delete-room", "DELETE "+path+"/{id}", "Let a shared room be; in Matrix it stays", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *RoomChange) (*gone, error) {
			version, err := in.versioned().may()
			if err != nil {
				return nil, err
			}
			return &gone{}, tx.DeleteRoom(ctx, in.ID, version)
		})
	for _, m := range []struct {
		id, method, summary string
		in                  bool
	}{
		{"add-room-member", "PUT ", "Put a Worker into a shared room", true},
		{"remove-room-member", "DELETE ", "Take a Worker out of a shared room", false},
	} {
		write(a, operation(m.id, m.method+path+"/{id}/members/{worker}", m.summary, manager.Admin),
			func(ctx context.Context, tx *store.Tx, in *roomMember) (*changed[manager.Room], error) {
				version, err := in.versioned().may()
				if err != nil {
					return nil, err
				}
				r, err := tx.SetRoomMember(ctx, in.ID, version, in.Worker, m.in)
				return as(r, r.Meta), err
			})
	}
}
