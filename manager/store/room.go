package store

import (
	"context"
	"slices"

	"keyward/manager"
)

var rooms = table[manager.Room]{
	name:    "rooms",
	kind:    manager.KindRoom,
	columns: []string{"kind", "name", "members", "calls", "each_llm", "each_auth", "digest_seconds"},
	meta:    func(r *manager.Room) *manager.Meta { return &r.Meta },
	fields: func(r *manager.Room) []any {
		return []any{&r.Kind, &r.Name, jsonText{&r.Members}, &r.Calls, &r.EachLLM, &r.EachAuth, &r.DigestSeconds}
	},
}

// Room returns a room.
func (r reader) Room(ctx context.Context, id string) (manager.Room, error) {
	room, err := rooms.get(ctx, r.q, id)
	if err != nil {
		return room, err
	}
	all := []manager.Room{room}
	err = r.places(ctx, all)
	return all[0], err
}

// Rooms returns a page of rooms, of all kinds or of one.
func (r reader) Rooms(ctx context.Context, kind manager.RoomKind, p manager.Page) (manager.List[manager.Room], error) {
	l, err := rooms.page(ctx, r.q, p, "x.kind = $1 OR $1 = ''", string(kind))
	if err != nil {
		return l, err
	}
	return l, r.places(ctx, l.Items)
}

// ChangedRooms returns a page of the rooms that changed after a generation.
func (r reader) ChangedRooms(ctx context.Context, after uint64, p manager.Page) (manager.List[manager.Room], error) {
	l, err := rooms.page(ctx, r.q, p, "x.generation > $1", after)
	if err != nil {
		return l, err
	}
	return l, r.places(ctx, l.Items)
}

// ChangedWorkers returns the IDs of the Workers that changed after a generation,
// with those of consumers that were deleted after it.
func (r reader) ChangedWorkers(ctx context.Context, after uint64) ([]string, error) {
	rows, err := r.q.QueryContext(ctx, `SELECT id FROM consumers WHERE kind = 'worker' AND generation > $1
		UNION SELECT id FROM entries WHERE kind = 'consumer' AND removed AND generation > $1 ORDER BY 1`, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, rows.Err()
}

// places fills in where rooms, in the order of their IDs, are in Matrix.
func (r reader) places(ctx context.Context, list []manager.Room) error {
	if len(list) == 0 {
		return nil
	}
	at := make(map[string]*manager.Room, len(list))
	for i := range list {
		at[list[i].ID] = &list[i]
	}
	rows, err := r.q.QueryContext(ctx, `SELECT room, matrix FROM room_places WHERE room >= $1 AND room <= $2`, list[0].ID, list[len(list)-1].ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var room, matrix string
		if err := rows.Scan(&room, &matrix); err != nil {
			return err
		}
		if v := at[room]; v != nil {
			v.Matrix = matrix
		}
	}
	return rows.Err()
}

// RoomAt returns the ID of the room that is somewhere in Matrix.
func (r reader) RoomAt(ctx context.Context, matrix string) (string, error) {
	var id string
	err := r.q.QueryRowContext(ctx, `SELECT p.room FROM room_places p JOIN rooms x ON x.id = p.room WHERE p.matrix = $1`, matrix).Scan(&id)
	if noRows(err) {
		err = &manager.Error{Kind: manager.KindRoom, ID: matrix, Err: manager.ErrNotFound}
	}
	return id, err
}

// PlaceRoom notes where a room is in Matrix; empty: nowhere any more.
func (s *Store) PlaceRoom(ctx context.Context, id, matrix string) error {
	return s.observe(ctx, func(exec execFunc) error {
		return exec(`INSERT INTO room_places (room, matrix) VALUES ($1, $2)
			ON CONFLICT (room) DO UPDATE SET matrix = excluded.matrix`, id, matrix)
	})
}

// CreateRoom makes a shared room.
func (t *Tx) CreateRoom(ctx context.Context, n manager.NewRoom) (manager.Room, error) {
	if err := n.Validate(); err != nil {
		return manager.Room{}, err
	}
	id := manager.RoomID(manager.RoomShared, n.ID)
	if _, err := t.Room(ctx, id); err == nil {
		return manager.Room{}, &manager.Error{Kind: manager.KindRoom, ID: id, Err: manager.ErrExists}
	}
	if err := t.workers(ctx, n.Members); err != nil {
		return manager.Room{}, err
	}
	return t.insertRoom(ctx, manager.Room{Meta: manager.Meta{ID: id}, Kind: manager.RoomShared, RoomSpec: n.RoomSpec})
}

// EnsureRoom returns the Manager's room, or that of a Worker, which it makes
// where there is none.
func (t *Tx) EnsureRoom(ctx context.Context, kind manager.RoomKind, worker string) (manager.Room, error) {
	id := manager.RoomID(kind, worker)
	r, err := t.Room(ctx, id)
	if !isNotFound(err) {
		return r, err
	}
	if kind == manager.RoomWorker {
		if err := t.workers(ctx, []string{worker}); err != nil {
			return r, err
		}
	}
	return t.insertRoom(ctx, manager.Room{Meta: manager.Meta{ID: id}, Kind: kind})
}

func (t *Tx) insertRoom(ctx context.Context, r manager.Room) (manager.Room, error) {
	if r.Members == nil {
		r.Members = []string{}
	}
	if err := rooms.insert(ctx, t, &r); err != nil {
		return r, err
	}
	return r, t.record(ctx, manager.KindRoom, "create", r.ID, nil, r)
}

// UpdateRoom changes a room of a version (0: whichever).
func (t *Tx) UpdateRoom(ctx context.Context, id string, version uint64, spec manager.RoomSpec) (manager.Room, error) {
	return t.editRoom(ctx, id, version, "update", func(r *manager.Room) error {
		if err := spec.Validate(r.Kind); err != nil {
			return err
		}
		r.RoomSpec = spec
		return t.workers(ctx, spec.Members)
	})
}

// SetRoomMember puts a Worker into a shared room, or takes it out.
func (t *Tx) SetRoomMember(ctx context.Context, id string, version uint64, worker string, in bool) (manager.Room, error) {
	verb := "remove-member"
	if in {
		verb = "add-member"
	}
	return t.editRoom(ctx, id, version, verb, func(r *manager.Room) error {
		r.Members = slices.DeleteFunc(r.Members, func(m string) bool { return m == worker })
		if !in {
			return nil
		}
		r.Members = append(r.Members, worker)
		if err := r.Validate(r.Kind); err != nil {
			return err
		}
		return t.workers(ctx, []string{worker})
	})
}

func (t *Tx) editRoom(ctx context.Context, id string, version uint64, verb string, change func(*manager.Room) error) (manager.Room, error) {
	before, err := t.Room(ctx, id)
	if err != nil {
		return before, err
	}
	_, _, err = rooms.edit(ctx, t, id, version, func(r *manager.Room) error {
		if err := change(r); err != nil {
			return err
		}
		if r.Members == nil {
			r.Members = []string{}
		}
		return nil
	})
	if err != nil {
		return before, err
	}
	after, err := t.Room(ctx, id)
	if err != nil {
		return before, err
	}
	return after, t.record(ctx, manager.KindRoom, verb, id, before, after)
}

// DeleteRoom takes a shared room out of the Manager's care. In Matrix it stays,
// with its history, for whoever is in it.
func (t *Tx) DeleteRoom(ctx context.Context, id string, version uint64) error {
	before, err := t.Room(ctx, id)
	if err != nil {
		return err
	}
	if before.Kind != manager.RoomShared {
		return &manager.Error{Kind: manager.KindRoom, ID: id, Err: manager.ErrState, Why: "only a shared room can be deleted: the others outlive their Workers"}
	}
	if _, err := rooms.checked(ctx, t, id, version); err != nil {
		return err
	}
	if err := rooms.delete(ctx, t, id); err != nil {
		return err
	}
	for _, from := range []string{"outbox", "outbox_sending"} {
		if _, err := t.exec(ctx, `DELETE FROM `+from+` WHERE room = $1`, id); err != nil {
			return err
		}
	}
	return t.record(ctx, manager.KindRoom, "delete", id, before, nil)
}

// workers refuses names that are not Workers': nobody else has an account in
// Matrix that is the Manager's to handle.
func (t *Tx) workers(ctx context.Context, ids []string) error {
	for _, id := range ids {
		c, err := consumers.get(ctx, t.q, id)
		if err != nil {
			return asReference(err, "members")
		}
		if c.Kind != "worker" {
			return &manager.FieldError{Field: "members", Why: "names a consumer that is no worker"}
		}
	}
	return nil
}
