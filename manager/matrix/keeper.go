package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

// userOf is the account of a Worker. The prefix keeps it apart from people's
// accounts, which a Worker of the same name would otherwise get.
func (s *Service) userOf(worker string) id.UserID {
	return id.NewUserID(s.opt.Prefix+"-"+worker, s.session.User.Homeserver())
}

// keep brings a room and its members to what they should be, making both where
// they are missing.
func (s *Service) keep(ctx context.Context, r manager.Room) error {
	workers, err := s.membersOf(ctx, r)
	if err != nil {
		return err
	}
	f := s.formOf(r, workers)
	place, state, err := s.find(ctx, r, f)
	if err != nil {
		return err
	}
	if place == "" {
		if place, err = s.create(ctx, f); err != nil {
			return fmt.Errorf("make it: %w", brief(err))
		}
		s.log.Info("room made", slog.String("room", r.ID), slog.String("matrix", string(place)))
		if state, err = s.api().StateAsArray(ctx, place); err != nil {
			return brief(err)
		}
	}
	if r.Matrix != string(place) {
		if err := s.store.PlaceRoom(ctx, r.ID, string(place)); err != nil {
			return err
		}
	}
	var errs []error
	for _, x := range f.fixes(state) {
		if err := s.fix(ctx, place, x); err != nil {
			errs = append(errs, fmt.Errorf("%s %s%s: %w", x.do, x.user, x.state.Type, brief(err)))
			if asked(err) > 0 || down(err) {
				break
			}
			continue
		}
		s.log.Info("room mended", slog.String("room", r.ID), slog.String("by", x.do), slog.String("user", string(x.user)), slog.String("state", x.state.Type))
	}
	have, amiss := memberships(state), len(errs)
	for _, w := range workers {
		if err := s.admit(ctx, place, w, have[s.userOf(w)]); err != nil {
			errs = append(errs, fmt.Errorf("admit %q: %w", w, brief(err)))
		}
	}
	if err := errors.Join(errs...); len(errs) > amiss || err == nil {
		return err
	} else {
		return untidy{err}
	}
}

// untidy says that a room is there with its Workers in it, and yet is not as it
// should be.
type untidy struct{ error }

func (u untidy) Unwrap() error { return u.error }

// membersOf returns the Workers that belong into a room: those that are there
// and not revoked.
func (s *Service) membersOf(ctx context.Context, r manager.Room) ([]string, error) {
	ids := r.Members
	if owner := r.Owner(); owner != "" {
		ids = []string{owner}
	}
	var list []string
	for _, w := range ids {
		c, err := s.store.Consumer(ctx, w)
		switch {
		case errors.Is(err, manager.ErrNotFound):
		case err != nil:
			return nil, err
		case c.Kind == "worker" && c.State != snapshot.Revoked && s.userOf(w) != s.session.User:
			list = append(list, w)
		}
	}
	return list, nil
}

// find looks for a room where it was, by its alias, and among the rooms that the
// Manager is in; empty: it is nowhere.
func (s *Service) find(ctx context.Context, r manager.Room, f form) (id.RoomID, []*event.Event, error) {
	if r.Matrix != "" {
		state, err := s.ours(ctx, id.RoomID(r.Matrix), f)
		if state != nil || err != nil {
			return id.RoomID(r.Matrix), state, err
		}
	}
	a, err := s.api().ResolveAlias(ctx, id.NewRoomAlias(f.alias, f.self.Homeserver()))
	switch {
	case err == nil:
		if state, err := s.ours(ctx, a.RoomID, f); state != nil || err != nil {
			return a.RoomID, state, err
		}
	case !gone(err):
		return "", nil, brief(err)
	}
	return s.search(ctx, r, f)
}

// search looks through the rooms that the Manager is in.
func (s *Service) search(ctx context.Context, r manager.Room, f form) (id.RoomID, []*event.Event, error) {
	if s.marked == nil {
		joined, err := s.api().JoinedRooms(ctx)
		if err != nil {
			return "", nil, brief(err)
		}
		marked := map[string]id.RoomID{}
		for _, room := range joined.JoinedRooms {
			var m marker
			switch err := s.api().StateEvent(ctx, room, stateRoom, "", &m); {
			case err == nil:
				marked[m.Room] = room
			case !gone(err):
				return "", nil, brief(err)
			}
		}
		s.marked = marked
	}
	place, ok := s.marked[r.ID]
	if !ok {
		return "", nil, nil
	}
	state, err := s.ours(ctx, place, f)
	if state == nil {
		delete(s.marked, r.ID)
		place = ""
	}
	return place, state, err
}

// ours returns the state of a room that the Manager made and is in; nil: it is
// no such room. Whoever else has taken the alias shall not get what is shown.
func (s *Service) ours(ctx context.Context, place id.RoomID, f form) ([]*event.Event, error) {
	state, err := s.api().StateAsArray(ctx, place)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, brief(err)
	}
	var made, marked bool
	for _, e := range state {
		if e.StateKey == nil || *e.StateKey != "" {
			continue
		}
		switch e.Type.Type {
		case "m.room.create":
			made = e.Sender == f.self
		case stateRoom.Type:
			var m marker
			marked = json.Unmarshal(e.Content.VeryRaw, &m) == nil && m.Room == f.id
		}
	}
	if !made || !marked || memberships(state)[f.self] != "join" {
		return nil, nil
	}
	return state, nil
}

func memberships(state []*event.Event) map[id.UserID]string {
	m := map[id.UserID]string{}
	for _, e := range state {
		var c struct {
			Membership string `json:"membership"`
		}
		if e.Type.Type == "m.room.member" && e.StateKey != nil && json.Unmarshal(e.Content.VeryRaw, &c) == nil {
			m[id.UserID(*e.StateKey)] = c.Membership
		}
	}
	return m
}

// create makes a room. An alias that leads to another room is taken from it if
// that is ours to do, else done without.
func (s *Service) create(ctx context.Context, f form) (id.RoomID, error) {
	version, withAlias := roomVersion, true
	for range 4 {
		var r mautrix.RespCreateRoom
		_, err := s.api().MakeRequest(ctx, http.MethodPost, s.api().BuildClientURL("v3", "createRoom"), f.creation(version, withAlias), &r)
		switch {
		case errors.Is(err, mautrix.MUnsupportedRoomVersion) && version == roomVersion:
			version = roomVersionOld
		case errors.Is(err, mautrix.MRoomInUse) && withAlias:
			if _, err := s.api().DeleteAlias(ctx, id.NewRoomAlias(f.alias, f.self.Homeserver())); err != nil {
				if asked(err) > 0 || down(err) {
					return "", err
				}
				s.log.Warn("alias belongs to somebody else: the room is made without", slog.String("room", f.id), slog.String("alias", f.alias))
				withAlias = false
			}
		case err != nil:
			return "", err
		default:
			return r.RoomID, nil
		}
	}
	return "", errors.New("the homeserver makes no room")
}

func (s *Service) fix(ctx context.Context, place id.RoomID, x fix) (err error) {
	switch x.do {
	case "invite":
		_, err = s.api().InviteUser(ctx, place, &mautrix.ReqInviteUser{UserID: x.user})
	case "kick":
		if err := s.signOut(ctx, x.user); err != nil {
			return err
		}
		_, err = s.api().KickUser(ctx, place, &mautrix.ReqKickUser{UserID: x.user, Reason: "does not belong here"})
	case "unban":
		_, err = s.api().UnbanUser(ctx, place, &mautrix.ReqUnbanUser{UserID: x.user})
	case "state":
		_, err = s.api().SendStateEvent(ctx, place, event.NewEventType(x.state.Type), "", x.state.Content)
	}
	return err
}
