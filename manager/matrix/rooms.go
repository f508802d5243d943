package matrix

import (
	"context"
	"errors"
	"log/slog"
	"slices"
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

// keepEach keeps rooms, and returns those that are not as they should be, and for
// how long the homeserver wants to be left alone.
func (s *Service) keepEach(ctx context.Context, list []manager.Room) (again map[string]bool, held time.Duration, err error) {
	again = map[string]bool{}
	for i, r := range list {
		err := s.keep(ctx, r)
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
			for _, r := range list[i:] { // they would fare no better now
				again[r.ID] = true
			}
			break
		}
	}
	s.mu.Lock()
	s.state.Rooms = len(again)
	s.mu.Unlock()
	return again, held, nil
}

// rooms makes sure that the Manager knows of a room for itself and for each
// Worker, and returns those that changed after a generation or are in also.
func (s *Service) rooms(ctx context.Context, after uint64, also map[string]bool) ([]manager.Room, error) {
	changed, known := map[string]bool{}, map[string]bool{}
	missing := []string{}
	if _, err := s.store.Room(ctx, manager.ManagerRoom); errors.Is(err, manager.ErrNotFound) {
		missing = append(missing, "")
	} else if err != nil {
		return nil, err
	}
	for c, err := range pages(func(p manager.Page) (manager.List[manager.Consumer], error) { return s.store.Consumers(ctx, "", p) }) {
		if err != nil {
			return nil, err
		}
		known[c.ID] = true
		if c.Kind != "worker" || c.Generation <= after {
			continue
		}
		changed[c.ID] = true
		_, err := s.store.Room(ctx, manager.RoomID(manager.RoomWorker, c.ID))
		switch {
		case errors.Is(err, manager.ErrNotFound) && c.State != snapshot.Revoked:
			missing = append(missing, c.ID)
		case err != nil && !errors.Is(err, manager.ErrNotFound):
			return nil, err
		}
	}
	for _, w := range missing {
		if _, err := s.ensure(ctx, w); err != nil && !errors.Is(err, manager.ErrInvalid) {
			return nil, err
		}
	}
	var list []manager.Room
	for r, err := range pages(func(p manager.Page) (manager.List[manager.Room], error) { return s.store.Rooms(ctx, "", p) }) {
		if err != nil {
			return nil, err
		}
		if owner := r.Owner(); owner != "" && !known[owner] && !s.ended[owner] {
			s.ended[owner] = true // deleted consumers are in no list
			list = append(list, r)
			continue
		}
		if also[r.ID] || r.Generation > after || changed[r.Owner()] || slices.ContainsFunc(r.Members, func(m string) bool { return changed[m] }) {
			list = append(list, r)
		}
	}
	return list, nil
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
