package client_test

import (
	"bytes"
	"errors"
	"testing"

	"keyward/manager"
	"keyward/manager/client"
)

func callLog(t *testing.T, c *client.Client) {
	t.Helper()
	ctx := t.Context()
	if l := read[manager.List[manager.LogEntry]](t)(c.Log(ctx, client.LogFilter{Kind: manager.EntryAction}, manager.Page{})); len(l.Items) == 0 {
		t.Error("the log shows no action")
	}
	points := read[manager.List[manager.Checkpoint]](t)(c.Checkpoints(ctx, manager.Page{}))
	if len(points.Items) == 0 {
		t.Fatal("there is no checkpoint")
	}
	size := points.Items[0].Size
	if p := read[manager.Proof](t)(c.ProveEntry(ctx, size, 0)); p.Root == "" || p.Size != size {
		t.Errorf("proof = %+v", p)
	}
	if p := read[manager.Proof](t)(c.ProveGrowth(ctx, size, 1)); p.Root == "" || p.Size != size {
		t.Errorf("proof of growth = %+v", p)
	}
	var b bytes.Buffer
	if err := c.ExportLog(ctx, &b); err != nil || bytes.Count(b.Bytes(), []byte("\n")) < 2 {
		t.Errorf("export of %d bytes, %v", b.Len(), err)
	}
	done(t)(c.DropLog(ctx, client.Request{}, 1))
}

func callRooms(t *testing.T, c *client.Client) {
	t.Helper()
	ctx, none := t.Context(), client.Request{}
	r := ok[manager.Room](t)(c.CreateRoom(ctx, none, manager.NewRoom{ID: "team", RoomSpec: manager.RoomSpec{Name: "The team"}}))
	r = ok[manager.Room](t)(c.AddRoomMember(ctx, none, r.ID, "w"))
	r = ok[manager.Room](t)(c.RemoveRoomMember(ctx, none, r.ID, "w"))
	ok[manager.Room](t)(c.UpdateRoom(ctx, client.Request{Version: r.Version}, r.ID, manager.RoomSpec{Calls: true}))
	if got := read[manager.Room](t)(c.Room(ctx, r.ID)); !got.Calls || len(got.Members) != 0 {
		t.Errorf("room = %+v", got)
	}
	if l := read[manager.List[manager.Room]](t)(c.Rooms(ctx, manager.RoomShared, manager.Page{})); len(l.Items) != 1 {
		t.Errorf("rooms = %+v", l.Items)
	}
	done(t)(c.DeleteRoom(ctx, none, r.ID))
	if _, err := c.Room(ctx, r.ID); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("a deleted room: %v", err)
	}
}
