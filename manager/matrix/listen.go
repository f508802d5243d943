package matrix

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"keyward/manager"
)

const (
	syncFor   = 25 * time.Second
	maxMissed = 50 // pages of what was said while nobody listened
)

// listen follows what happens in rooms until ctx is done: commands in the
// Manager's room, and everywhere changes of who is there and who may what.
func (s *Service) listen(ctx context.Context) error {
	filter, err := json.Marshal(syncFilter(s.session.User))
	if err != nil {
		return err
	}
	since, err := s.store.Heard(ctx)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		timeout := int(syncFor / time.Millisecond)
		if since == "" {
			timeout = 0
		}
		r, err := s.api().FullSyncRequest(ctx, mautrix.ReqSync{Timeout: timeout, Since: since, FilterID: string(filter), SetPresence: event.PresenceOffline})
		if err != nil {
			if since != "" && forgotten(err) {
				s.log.Warn("the homeserver has forgotten how far it was heard: commands given meanwhile are not run")
				since = ""
				continue
			}
			return err
		}
		if since != "" {
			if err := s.hear(ctx, since, r); err != nil {
				return err
			}
		}
		if since = r.NextBatch; since == "" {
			return errors.New("matrix: the homeserver answers without a place to go on from")
		}
		if err := s.store.SetHeard(ctx, since); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// forgotten reports whether the homeserver does not know a place of its stream.
func forgotten(err error) bool {
	var e mautrix.HTTPError
	return errors.As(err, &e) && e.IsStatus(http.StatusBadRequest)
}

func syncFilter(self id.UserID) map[string]any {
	none := map[string]any{"types": []string{}, "limit": 0}
	return map[string]any{
		"presence": none, "account_data": none,
		"room": map[string]any{
			"account_data": none, "ephemeral": none,
			"state": map[string]any{"types": []string{}, "lazy_load_members": true},
			"timeline": map[string]any{
				"limit": 50, "not_senders": []id.UserID{self},
				"types": []string{"m.room.message", "m.room.member", "m.room.power_levels", "m.room.join_rules", "m.room.tombstone"},
			},
		},
	}
}

// hear goes through what happened since a place of the stream.
func (s *Service) hear(ctx context.Context, since string, r *mautrix.RespSync) error {
	home, err := s.store.Room(ctx, manager.ManagerRoom)
	if err != nil && !errors.Is(err, manager.ErrNotFound) {
		return err
	}
	for place, room := range r.Rooms.Join {
		if slices.ContainsFunc(room.Timeline.Events, func(e *event.Event) bool { return e.Type.Type != "m.room.message" }) || room.Timeline.Limited {
			s.suspect(ctx, place)
		}
		if home.Matrix == "" || place != id.RoomID(home.Matrix) {
			continue
		}
		events := room.Timeline.Events
		if room.Timeline.Limited {
			missed, err := s.missed(ctx, place, room.Timeline.PrevBatch, since)
			if err != nil {
				return err
			}
			events = append(missed, events...)
		}
		for _, e := range events {
			if e.Type.Type == "m.room.message" {
				if err := s.command(ctx, place, e); err != nil {
					return err
				}
			}
		}
	}
	for place := range r.Rooms.Leave {
		s.suspect(ctx, place)
	}
	return nil
}

// suspect has the keeper look at the room that is somewhere in Matrix.
func (s *Service) suspect(ctx context.Context, place id.RoomID) {
	room, err := s.store.RoomAt(ctx, string(place))
	switch {
	case err == nil:
		s.displace(room)
	case !errors.Is(err, manager.ErrNotFound):
		s.log.Warn("cannot look up a room", slog.Any("error", err))
	}
}

// missed returns what was said in a room between two places of the stream,
// oldest first.
func (s *Service) missed(ctx context.Context, place id.RoomID, from, to string) ([]*event.Event, error) {
	filter := &mautrix.FilterPart{Types: []event.Type{event.EventMessage}, NotSenders: []id.UserID{s.session.User}}
	var list []*event.Event
	for range maxMissed {
		m, err := s.api().Messages(ctx, place, from, to, mautrix.DirectionBackward, filter, 100)
		if err != nil {
			return nil, err
		}
		list = append(list, m.Chunk...)
		if m.End == "" || m.End == from || len(m.Chunk) == 0 {
			break
		}
		from = m.End
	}
	slices.Reverse(list)
	return list, nil
}
