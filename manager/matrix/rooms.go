package matrix

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"maunium.net/go/mautrix/id"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
)

// downFor is how long the keeper leaves a homeserver alone that does not answer.
const downFor = 2 * time.Second

// errNoPlace reports a room that is not in Matrix yet.
var errNoPlace = errors.New("the room is not made yet")

// place is where a room is in Matrix.
func (s *Service) place(ctx context.Context, room string) (id.RoomID, error) {
	r, err := s.store.Room(ctx, room)
	if err != nil {
		return "", err
	}
	if r.Matrix == "" {
		s.displace(room)
		return "", errNoPlace
	}
	return id.RoomID(r.Matrix), nil
}

// displace has the keeper look at a room.
func (s *Service) displace(room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved[room] = true
	s.tidy.give()
}

// takeMoved returns the rooms that the keeper shall look at.
func (s *Service) takeMoved() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	moved := s.moved
	s.moved = map[string]bool{}
	return moved
}

// keepWithin bounds how long a room is waited for that the keeper is asked for.
const keepWithin = 10 * time.Second

// keepNow has the keeper look at a room, and returns what came of it. What the
// caller changed before is in what the keeper saw.
func (s *Service) keepNow(ctx context.Context, room string) error {
	answer := make(chan error, 1)
	s.mu.Lock()
	s.moved[room] = true
	s.asked[room] = append(s.asked[room], answer)
	s.mu.Unlock()
	s.tidy.give()
	ctx, cancel := context.WithTimeout(ctx, keepWithin)
	defer cancel()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return errors.Join(errNoPlace, ctx.Err())
	}
}

// takeAsked returns those who wait for a room.
func (s *Service) takeAsked(room string) []chan<- error {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.asked[room]
	delete(s.asked, room)
	return waiting
}

// answer tells those who wait for a room what came of it. It never blocks: each
// is told once.
func (s *Service) answer(waiting []chan<- error, err error) {
	for _, w := range waiting {
		w <- err
	}
}

// keepEach keeps rooms, and returns those that are not as they should be, and for
// how long the homeserver wants to be left alone.
func (s *Service) keepEach(ctx context.Context, rooms map[string]manager.Room) (again map[string]bool, held time.Duration, err error) {
	again = map[string]bool{}
	list := slices.Sorted(maps.Keys(rooms)) // the Manager's first: commands come from there
	for i, id := range list {
		r := rooms[id]
		waiting := s.takeAsked(id)
		err := s.keep(ctx, r)
		s.answer(waiting, err)
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		if err != nil {
			again[r.ID] = true
			s.failed(err)
			s.log.Warn("room is not as it should be", slog.String("room", r.ID), slog.Any("error", brief(err)))
		} else {
			s.wake.give()
		}
		if held = asked(err); held == 0 && down(err) {
			held = downFor
		}
		if held > 0 {
			for _, id := range list[i:] { // they would fare no better now
				again[id] = true
			}
			break
		}
	}
	s.mu.Lock()
	s.state.Rooms = len(again)
	s.mu.Unlock()
	return again, held, nil
}

// rooms returns the rooms to look at, by their IDs: those that changed after a
// generation, those whose Workers did, and those in also. A Worker that has no
// room gets one, and so does the Manager.
func (s *Service) rooms(ctx context.Context, after uint64, also map[string]bool) (map[string]manager.Room, error) {
	ids := map[string]bool{manager.ManagerRoom: after == 0}
	maps.Copy(ids, also)
	delete(ids, "")
	workers, err := s.store.ChangedWorkers(ctx, after)
	if err != nil {
		return nil, err
	}
	for _, w := range workers {
		ids[manager.RoomID(manager.RoomWorker, w)] = true
	}
	list := map[string]manager.Room{}
	for id, look := range ids {
		r, ok, err := s.roomOf(ctx, id)
		if err != nil {
			return nil, err
		}
		if ok && look {
			list[id] = r
		}
	}
	for r, err := range pages(func(p manager.Page) (manager.List[manager.Room], error) { return s.store.ChangedRooms(ctx, after, p) }) {
		if err != nil {
			return nil, err
		}
		list[r.ID] = r
	}
	for r, err := range pages(s.shared(ctx)) {
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(r.Members, func(m string) bool { return slices.Contains(workers, m) }) {
			list[r.ID] = r
		}
	}
	return list, nil
}

// shared reads pages of shared rooms.
func (s *Service) shared(ctx context.Context) func(manager.Page) (manager.List[manager.Room], error) {
	return func(p manager.Page) (manager.List[manager.Room], error) {
		return s.store.Rooms(ctx, manager.RoomShared, p)
	}
}

// roomOf returns a room, which it makes known if a Worker or the Manager has none
// yet; false: there is no such room, and shall be none.
func (s *Service) roomOf(ctx context.Context, id string) (manager.Room, bool, error) {
	r, err := s.store.Room(ctx, id)
	if !errors.Is(err, manager.ErrNotFound) {
		return r, err == nil, err
	}
	worker, isWorker := strings.CutPrefix(id, string(manager.RoomWorker)+":")
	switch {
	case isWorker:
		c, err := s.store.Consumer(ctx, worker)
		if errors.Is(err, manager.ErrNotFound) {
			return r, false, nil
		}
		if err != nil || c.Kind != "worker" || c.State == snapshot.Revoked {
			return r, false, err
		}
	case id == manager.ManagerRoom:
		worker = ""
	default:
		return r, false, nil
	}
	r, err = s.ensure(ctx, worker)
	return r, err == nil, err
}

// ensure makes a Worker's room known, or the Manager's for an empty worker.
func (s *Service) ensure(ctx context.Context, worker string) (room manager.Room, err error) {
	kind := manager.RoomWorker
	if worker == "" {
		kind = manager.RoomManager
	}
	_, err = s.store.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
		room, err = tx.EnsureRoom(ctx, kind, worker)
		return err
	})
	return room, err
}

// pages goes through all pages of a list.
func pages[T any](page func(manager.Page) (manager.List[T], error)) func(func(T, error) bool) {
	return func(yield func(T, error) bool) {
		for after := ""; ; {
			l, err := page(manager.Page{After: after, Limit: manager.MaxPage})
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, v := range l.Items {
				if !yield(v, nil) {
					return
				}
			}
			if after = l.After; after == "" {
				return
			}
		}
	}
}
