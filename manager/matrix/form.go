package matrix

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"keyward/manager"
)

// Power levels.
const (
	powerAdmin  = 100
	powerWorker = 0
)

// Versions of rooms. From 12 on whoever made a room stands above all others in
// it, so that no one, once given power, can keep it against the Manager.
const (
	roomVersion    = "12"
	roomVersionOld = "11"
)

var stateRoom = event.Type{Type: "org.keyward.room", Class: event.StateEventType}

// A marker is the state event by which a room is known for ours.
type marker struct {
	Room string `json:"room"`
}

// A form is how a room should be.
type form struct {
	id      string // of the room in the Manager
	alias   string // local part
	name    string
	topic   string
	self    id.UserID
	admins  []id.UserID
	workers []id.UserID
}

// formOf returns the form of a room with its workers.
func (s *Service) formOf(r manager.Room, workers []string) form {
	f := form{id: r.ID, name: r.Name, self: s.session.User, admins: s.opt.Admins}
	name := r.Meta.ID[min(len(r.Meta.ID), len(r.Kind)+1):]
	f.alias = s.opt.Prefix + "-" + string(r.Kind)
	def := "Keyward Manager"
	switch r.Kind {
	case manager.RoomManager:
		f.topic = "What is done in the Manager. It takes commands here: !keyward help"
	case manager.RoomWorker:
		def, f.topic = "Worker: "+name, "Every request of this Worker, and whether it was allowed"
	case manager.RoomShared:
		def, f.topic = "Shared: "+name, "Made by an administrator for these Workers"
	}
	if r.Kind != manager.RoomManager {
		f.alias += "-" + name
	}
	if f.name == "" {
		f.name = def
	}
	for _, w := range workers {
		f.workers = append(f.workers, s.userOf(w))
	}
	return f
}

// members are all who belong into the room.
func (f form) members() []id.UserID {
	return slices.Concat([]id.UserID{f.self}, f.admins, f.workers)
}

// power returns the power levels: everything but speaking takes an admin. A room
// of a newer version takes no level for who made it.
func (f form) power(version string) map[string]any {
	users := map[string]any{}
	if version == roomVersionOld {
		users[string(f.self)] = powerAdmin
	}
	for _, a := range f.admins {
		users[string(a)] = powerAdmin
	}
	return map[string]any{
		"users": users, "users_default": powerWorker,
		"events": map[string]any{
			"m.room.name": powerAdmin, "m.room.topic": powerAdmin, "m.room.avatar": powerAdmin, "m.room.canonical_alias": powerAdmin,
			"m.room.power_levels": powerAdmin, "m.room.history_visibility": powerAdmin, "m.room.encryption": powerAdmin,
			"m.room.server_acl": powerAdmin, "m.room.tombstone": powerAdmin,
		},
		"events_default": powerWorker, "state_default": powerAdmin,
		"invite": powerAdmin, "kick": powerAdmin, "ban": powerAdmin, "redact": powerAdmin,
		"notifications": map[string]any{"room": powerAdmin},
		"historical":    powerAdmin, // Synapse has it
	}
}

// fixed is the state of a room that is the same for all of a form.
func (f form) fixed() map[string]map[string]any {
	return map[string]map[string]any{
		stateRoom.Type:              {"room": f.id},
		"m.room.join_rules":         {"join_rule": "invite"},
		"m.room.history_visibility": {"history_visibility": "shared"},
		"m.room.guest_access":       {"guest_access": "forbidden"},
		"m.room.name":               {"name": f.name},
		"m.room.topic":              {"topic": f.topic},
	}
}

// A creation is a request to make a room. Its power levels have members that the
// client's own type can't say.
type creation struct {
	mautrix.ReqCreateRoom
	Power map[string]any `json:"power_level_content_override"`
	State []stateEvent   `json:"initial_state"`
}

type stateEvent struct {
	Type    string         `json:"type"`
	Key     string         `json:"state_key"`
	Content map[string]any `json:"content"`
}

func (f form) creation(version string, withAlias bool) creation {
	c := creation{
		ReqCreateRoom: mautrix.ReqCreateRoom{
			Visibility: "private", Preset: "private_chat", Name: f.name, Topic: f.topic,
			Invite: f.admins, RoomVersion: id.RoomVersion(version),
			CreationContent: map[string]any{"m.federate": false},
		},
		Power: f.power(version),
	}
	if withAlias {
		c.RoomAliasName = f.alias
	}
	fixed := f.fixed()
	for _, t := range slices.Sorted(maps.Keys(fixed)) {
		if t != "m.room.name" && t != "m.room.topic" {
			c.State = append(c.State, stateEvent{Type: t, Content: fixed[t]})
		}
	}
	return c
}

// A fix is one step by which a room gets as it should be.
type fix struct {
	do    string // invite, kick, unban, or state
	user  id.UserID
	state stateEvent
}

// fixes compares the state of a room with its form.
func (f form) fixes(state []*event.Event) []fix {
	have := map[string]map[string]any{}
	members := map[id.UserID]string{}
	version := "1"
	for _, e := range state {
		var content map[string]any
		if json.Unmarshal(e.Content.VeryRaw, &content) != nil || e.StateKey == nil {
			continue
		}
		switch {
		case e.Type.Type == "m.room.member":
			members[id.UserID(*e.StateKey)], _ = content["membership"].(string)
		case *e.StateKey == "":
			have[e.Type.Type] = content
		}
	}
	if v, ok := have["m.room.create"]["room_version"].(string); ok {
		version = v
	}
	want := f.fixed()
	want["m.room.power_levels"] = f.power(version)
	var list []fix
	for _, t := range slices.Sorted(maps.Keys(want)) {
		if !covers(have[t], want[t]) {
			list = append(list, fix{do: "state", state: stateEvent{Type: t, Content: want[t]}})
		}
	}
	return append(list, f.memberFixes(members)...)
}

// memberFixes removes who does not belong here and invites admins. Workers need
// an account first.
func (f form) memberFixes(have map[id.UserID]string) []fix {
	var list []fix
	wanted := f.members()
	for _, u := range slices.Sorted(maps.Keys(have)) {
		switch have[u] {
		case "join", "invite", "knock":
			if !slices.Contains(wanted, u) {
				list = append(list, fix{do: "kick", user: u})
			}
		}
	}
	for _, u := range f.admins {
		switch have[u] {
		case "join", "invite":
		case "ban":
			list = append(list, fix{do: "unban", user: u}, fix{do: "invite", user: u})
		default:
			list = append(list, fix{do: "invite", user: u})
		}
	}
	return list
}

// covers reports whether have says all that want says, and of power levels
// nothing more: a level that is not ours to give is power.
func covers(have, want map[string]any) bool {
	normal := func(m map[string]any) (v map[string]any) {
		b, err := json.Marshal(m)
		if err != nil || json.Unmarshal(b, &v) != nil {
			return nil
		}
		return v
	}
	h, w := normal(have), normal(want)
	if _, power := w["users_default"]; power {
		return reflect.DeepEqual(h, w)
	}
	for k, v := range w {
		if !reflect.DeepEqual(h[k], v) {
			return false
		}
	}
	return true
}
