package matrix

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"keyward/manager"
)

func newForm() form {
	s := &Service{session: &session{User: "@keyward:hs"}, opt: settings{Admins: []id.UserID{"@alice:hs"}}}
	s.opt.Prefix = "keyward"
	return s.formOf(manager.Room{Meta: manager.Meta{ID: "worker:w"}, Kind: manager.RoomWorker}, []string{"w"})
}

// stateOf is the state of a room that is as it should be, with members besides.
func stateOf(t *testing.T, f form, members map[id.UserID]string) []*event.Event {
	t.Helper()
	var list []*event.Event
	add := func(typ, key string, content any) {
		b, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, &event.Event{
			Type: event.Type{Type: typ, Class: event.StateEventType}, StateKey: &key, Sender: f.self, Content: event.Content{VeryRaw: b},
		})
	}
	add("m.room.create", "", map[string]any{"room_version": roomVersion})
	add("m.room.power_levels", "", f.power(roomVersion))
	for typ, content := range f.fixed() {
		add(typ, "", content)
	}
	for u, m := range members {
		add("m.room.member", string(u), map[string]any{"membership": m})
	}
	return list
}

func TestFixes(t *testing.T) {
	f := newForm()
	if f.alias != "keyward-worker-w" || f.name != "Worker: w" || !cmp.Equal(f.workers, []id.UserID{"@keyward-w:hs"}) {
		t.Errorf("form = %+v", f)
	}
	tests := []struct {
		name    string
		members map[id.UserID]string
		want    []fix
	}{
		{"as it should be", map[id.UserID]string{"@keyward:hs": "join", "@alice:hs": "join", "@keyward-w:hs": "join"}, nil},
		{"an invited admin is not invited again", map[id.UserID]string{"@keyward:hs": "join", "@alice:hs": "invite"}, nil},
		{"an admin who left is invited", map[id.UserID]string{"@keyward:hs": "join", "@alice:hs": "leave"}, []fix{{do: "invite", user: "@alice:hs"}}},
		{
			"a banned admin is let in",
			map[id.UserID]string{"@keyward:hs": "join", "@alice:hs": "ban"},
			[]fix{{do: "unban", user: "@alice:hs"}, {do: "invite", user: "@alice:hs"}},
		},
		{
			"strangers are removed, in the door and outside of it",
			map[id.UserID]string{"@keyward:hs": "join", "@alice:hs": "join", "@a:hs": "join", "@b:hs": "invite", "@c:hs": "knock", "@d:hs": "ban", "@keyward-x:hs": "join"},
			[]fix{{do: "kick", user: "@a:hs"}, {do: "kick", user: "@b:hs"}, {do: "kick", user: "@c:hs"}, {do: "kick", user: "@keyward-x:hs"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := f.fixes(stateOf(t, f, tt.members))
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(fix{}, stateEvent{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPowerThatIsNotOursToGiveIsTakenBack(t *testing.T) {
	f := newForm()
	members := map[id.UserID]string{"@keyward:hs": "join", "@alice:hs": "join", "@keyward-w:hs": "join"}
	for name, change := range map[string]func(map[string]any){
		"a Worker's level":      func(p map[string]any) { p["users"].(map[string]any)["@keyward-w:hs"] = 100 },
		"everybody's level":     func(p map[string]any) { p["users_default"] = 50 },
		"who may invite":        func(p map[string]any) { p["invite"] = 0 },
		"who may redact":        func(p map[string]any) { p["redact"] = 0 },
		"who may set the topic": func(p map[string]any) { p["events"].(map[string]any)["m.room.topic"] = 0 },
		"an admin's level":      func(p map[string]any) { delete(p["users"].(map[string]any), "@alice:hs") },
	} {
		t.Run(name, func(t *testing.T) {
			state := stateOf(t, f, members)
			p := f.power(roomVersion)
			change(p)
			b, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			state[1].Content.VeryRaw = b
			got := f.fixes(state)
			if len(got) != 1 || got[0].state.Type != "m.room.power_levels" {
				t.Errorf("fixes = %+v", got)
			}
		})
	}
}

func TestAliasesOfDifferentRoomsDiffer(t *testing.T) {
	s := &Service{session: &session{User: "@keyward:hs"}}
	s.opt.Prefix = "keyward"
	seen := map[string]string{}
	for _, r := range []manager.Room{
		{Meta: manager.Meta{ID: "manager"}, Kind: manager.RoomManager},
		{Meta: manager.Meta{ID: "worker:manager"}, Kind: manager.RoomWorker},
		{Meta: manager.Meta{ID: "shared:manager"}, Kind: manager.RoomShared},
		{Meta: manager.Meta{ID: "worker:worker-a"}, Kind: manager.RoomWorker},
		{Meta: manager.Meta{ID: "worker:a"}, Kind: manager.RoomWorker},
	} {
		f := s.formOf(r, nil)
		if other, ok := seen[f.alias]; ok {
			t.Errorf("%s and %s have the alias %s", r.ID, other, f.alias)
		}
		seen[f.alias] = r.ID
	}
}

func TestSession(t *testing.T) {
	path := filepath.Join(t.TempDir(), "matrix.session")
	s, err := openSession(path, "@keyward:hs")
	if err != nil {
		t.Fatal(err)
	}
	s.Token, s.Device = "syt_secret", "D"
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	again, err := openSession(path, "@keyward:hs")
	if err != nil || again.Token != s.Token || again.password("@w:hs") != s.password("@w:hs") || again.password("@w:hs") == again.password("@v:hs") {
		t.Errorf("session = %v", err)
	}
	if _, err := openSession(path, "@other:hs"); err == nil {
		t.Error("another account's session was taken")
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := openSession(path, "@keyward:hs"); err == nil {
		t.Error("a session that others may read was taken")
	}
	if err := os.WriteFile(path, []byte(`{"access_token":"syt_secret`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSession(path, "@keyward:hs"); err == nil || strings.Contains(err.Error(), "syt_secret") {
		t.Errorf("a broken session: %v", err)
	}
}

func TestOptions(t *testing.T) {
	good := Options{User: "@keyward:hs", Admins: []string{"@alice:hs"}, Registration: Registration{Token: "t"}, Prefix: "keyward"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"no admin":                    func(o *Options) { o.Admins = nil },
		"an admin that is no user":    func(o *Options) { o.Admins = []string{"alice"} },
		"a Worker's account as admin": func(o *Options) { o.Admins = []string{"@keyward-w:hs"} },
		"itself as admin":             func(o *Options) { o.Admins = []string{"@keyward:hs"} },
		"no user":                     func(o *Options) { o.User = "keyward" },
		"both ways to register":       func(o *Options) { o.Registration.Secret = "s" },
	} {
		o := good
		change(&o)
		if err := o.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
