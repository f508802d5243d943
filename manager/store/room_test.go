package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/manager/store"
)

func testRooms(t *testing.T, f *fixture) {
	ctx := t.Context()
	for id, kind := range map[string]string{"w1": "worker", "w2": "worker", "h": "human"} {
		f.must(t, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.CreateConsumer(ctx, manager.ConsumerSpec{ID: id, Kind: kind})
			return err
		})
	}
	ensure := func(kind manager.RoomKind, worker string) func(context.Context, *store.Tx) (manager.Room, error) {
		return func(ctx context.Context, tx *store.Tx) (manager.Room, error) { return tx.EnsureRoom(ctx, kind, worker) }
	}
	first := get(t, f, ensure(manager.RoomWorker, "w1"))
	if first.ID != "worker:w1" || first.Owner() != "w1" {
		t.Errorf("room = %+v", first)
	}
	if again := get(t, f, ensure(manager.RoomWorker, "w1")); again.Generation != first.Generation {
		t.Errorf("made again: %+v", again)
	}
	if home := get(t, f, ensure(manager.RoomManager, "")); home.ID != manager.ManagerRoom || home.Owner() != "" {
		t.Errorf("room = %+v", home)
	}
	f.fails(t, manager.ErrInvalid, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.EnsureRoom(ctx, manager.RoomWorker, "h")
		return err
	})
	shared := get(t, f, func(ctx context.Context, tx *store.Tx) (manager.Room, error) {
		return tx.CreateRoom(ctx, manager.NewRoom{ID: "team", RoomSpec: manager.RoomSpec{Members: []string{"w1"}, Calls: true}})
	})
	shared = get(t, f, func(ctx context.Context, tx *store.Tx) (manager.Room, error) {
		return tx.SetRoomMember(ctx, shared.ID, shared.Version, "w2", true)
	})
	if diff := cmp.Diff([]string{"w1", "w2"}, shared.Members); diff != "" {
		t.Error(diff)
	}
	for name, change := range map[string]func(context.Context, *store.Tx) error{
		"a member that is no worker": func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.SetRoomMember(ctx, shared.ID, 0, "h", true)
			return err
		},
		"a member of a Worker's room": func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.SetRoomMember(ctx, first.ID, 0, "w2", true)
			return err
		},
		"a name that reads backwards": func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.UpdateRoom(ctx, shared.ID, 0, manager.RoomSpec{Name: "\u202ex"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { f.fails(t, manager.ErrInvalid, change) })
	}
	f.fails(t, manager.ErrState, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRoom(ctx, first.ID, 0) })
	if err := f.PlaceRoom(ctx, first.ID, "!abc"); err != nil {
		t.Fatal(err)
	}
	if r, err := f.Room(ctx, first.ID); err != nil || r.Matrix != "!abc" || r.Version != first.Version {
		t.Errorf("placed room = %+v, %v", r, err)
	}
	if id, err := f.RoomAt(ctx, "!abc"); err != nil || id != first.ID {
		t.Errorf("RoomAt = %q, %v", id, err)
	}
	if _, err := f.RoomAt(ctx, "!other"); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("RoomAt of no room: %v", err)
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteConsumer(ctx, "w1", 0) })
	l, err := f.Rooms(ctx, manager.RoomWorker, manager.Page{})
	if err != nil || len(l.Items) != 1 || l.Items[0].Matrix != "!abc" {
		t.Errorf("a room ended with its Worker: %+v, %v", l.Items, err)
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRoom(ctx, shared.ID, 0) })
}

func testOutbox(t *testing.T, f *fixture) {
	ctx := t.Context()
	f.append(t, "vm", records(1, 5))
	size, err := f.LogSize(ctx)
	if err != nil {
		t.Fatal(err)
	}
	each, digest := manager.Queue{Room: "worker:a", Lane: manager.LaneEach}, manager.Queue{Room: "worker:a", Lane: manager.LaneDigest}
	var postings []manager.Posting
	for i := range uint64(4) {
		postings = append(postings, manager.Posting{Room: each.Room, Lane: each.Lane, Position: size - 4 + i})
	}
	postings = append(postings, manager.Posting{Room: digest.Room, Lane: digest.Lane, Position: size - 5, Due: start.Add(time.Minute)})
	if err := f.Post(ctx, 0, size, postings); err != nil {
		t.Fatal(err)
	}
	if err := f.Post(ctx, 0, size, postings); !errors.Is(err, store.ErrPosted) {
		t.Errorf("posted twice: %v", err)
	}
	due := func(at time.Time) []manager.Queue {
		t.Helper()
		list, err := f.DueQueues(ctx, at)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if diff := cmp.Diff([]manager.Queue{each}, due(start)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]manager.Queue{digest, each}, due(start.Add(time.Minute))); diff != "" {
		t.Error(diff)
	}
	queued := func(limit int) ([]uint64, *manager.Range) {
		t.Helper()
		list, sending, err := f.Queued(ctx, each, limit)
		if err != nil {
			t.Fatal(err)
		}
		var at []uint64
		for _, e := range list {
			at = append(at, e.Position)
		}
		return at, sending
	}
	if at, sending := queued(3); sending != nil || !cmp.Equal(at, []uint64{size - 4, size - 3, size - 2}) {
		t.Errorf("queued = %d, %v", at, sending)
	}
	if err := f.Sending(ctx, each, manager.Range{First: size - 4, Last: size - 3}); err != nil {
		t.Fatal(err)
	}
	if at, sending := queued(3); sending == nil || sending.Last != size-3 || sending.Since.IsZero() || len(at) != 2 {
		t.Errorf("queued = %d, %v", at, sending)
	}
	if err := f.Sent(ctx, each, size-3); err != nil {
		t.Fatal(err)
	}
	if at, sending := queued(3); sending != nil || !cmp.Equal(at, []uint64{size - 2, size - 1}) {
		t.Errorf("queued = %d, %v", at, sending)
	}
	if n, since, err := f.Waiting(ctx); err != nil || n != 3 || since.IsZero() {
		t.Errorf("waiting = %d since %v, %v", n, since, err)
	}
}

func testCommands(t *testing.T, f *fixture) {
	ctx := t.Context()
	run := func(ctx context.Context, tx *store.Tx) error { return tx.RunCommand(ctx, "$e", "who", "answer") }
	f.must(t, run)
	f.fails(t, manager.ErrExists, run)
	if a, known, err := f.CommandAnswer(ctx, "$e"); err != nil || !known || a != "answer" {
		t.Errorf("answer = %q, %v, %v", a, known, err)
	}
	if err := f.SetHeard(ctx, "s1"); err != nil {
		t.Fatal(err)
	}
	if since, err := f.Heard(ctx); err != nil || since != "s1" {
		t.Errorf("heard = %q, %v", since, err)
	}
	if a, known, err := f.CommandAnswer(ctx, "$e"); err != nil || !known || a != "" {
		t.Errorf("once answered, answer = %q, %v, %v", a, known, err)
	}
	f.fails(t, manager.ErrExists, run)
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		for n := range 1001 { // as many as are kept and one
			if err := tx.RunCommand(ctx, fmt.Sprint("$", n), "who", "answer"); err != nil {
				return err
			}
		}
		return nil
	})
	if a, known, err := f.CommandAnswer(ctx, "$2"); err != nil || !known || a != "answer" {
		t.Errorf("answer = %q, %v, %v", a, known, err)
	}
	if err := f.SetHeard(ctx, "s2"); err != nil {
		t.Fatal(err)
	}
	if _, known, err := f.CommandAnswer(ctx, "$e"); err != nil || known {
		t.Errorf("kept beyond its time: %v, %v", known, err)
	}
	if a, known, err := f.CommandAnswer(ctx, "$2"); err != nil || !known || a != "" {
		t.Errorf("once answered, answer = %q, %v, %v", a, known, err)
	}
}
