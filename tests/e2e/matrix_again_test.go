package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"keyward/plugins/snapshot"
	"keyward/tests/testenv"
)

// A Manager that has forgotten where a room is finds it by its alias, or, where the
// alias leads to somebody else's room, by its state event: and never takes a room
// that it did not make, whatever that says of itself.
func TestRoomsAreFoundAgain(t *testing.T) {
	skipUnlessE2E(t)
	homeservers(t, func(t *testing.T, hs *testenv.Homeserver) {
		w := newMatrixWorld(t, hs)
		w.worker(t, "worker-a")
		stop := w.serve(t)
		place := w.placed(t, "worker:worker-a")
		w.calls(t, "worker-a", 2)
		w.settled(t)
		again := func(how string) {
			t.Helper()
			if err := w.PlaceRoom(t.Context(), "worker:worker-a", ""); err != nil {
				t.Fatal(err)
			}
			stop = w.serve(t)
			if got := w.placed(t, "worker:worker-a"); got != place {
				t.Fatalf("%s: the room is %s, was %s", how, got, place)
			}
		}
		stop()
		again("by its alias")
		stop()
		alias := "#keyward-worker-worker-a:" + hs.Name
		path := "/_matrix/client/v3/directory/room/" + url.PathEscape(alias)
		hs.Call(t, http.MethodDelete, path, w.alice.Token, nil, nil)
		var other struct {
			ID string `json:"room_id"`
		}
		mallory := hs.Register(t, "mallory", false)
		hs.Call(t, http.MethodPost, "/_matrix/client/v3/createRoom", mallory.Token, map[string]any{
			"room_alias_name": "keyward-worker-worker-a", "preset": "public_chat", "invite": []string{w.opt.User},
			"initial_state": []any{map[string]any{"type": "org.keyward.room", "state_key": "", "content": map[string]string{"room": "worker:worker-a"}}},
		}, &other)
		again("by its state event")
		w.calls(t, "worker-a", 3)
		w.settled(t)
		w.shows(t, place, 5)
		if m := w.timelineOf(t, other.ID, mallory); len(m) != 0 {
			t.Errorf("a stranger's room shows %q", m)
		}
	})
}

// timelineOf are the messages of a room, as another user reads them.
func (w *matrixWorld) timelineOf(t *testing.T, place string, u testenv.MatrixUser) (bodies []string) {
	t.Helper()
	var page struct {
		Chunk []struct {
			Type    string `json:"type"`
			Content struct {
				Body string `json:"body"`
			} `json:"content"`
		} `json:"chunk"`
	}
	w.hs.Call(t, http.MethodGet, "/_matrix/client/v3/rooms/"+url.PathEscape(place)+"/messages?dir=b&limit=100", u.Token, nil, &page)
	for _, e := range page.Chunk {
		if e.Type == "m.room.message" {
			bodies = append(bodies, e.Content.Body)
		}
	}
	return bodies
}

// A Worker gives no commands: not in its own room, where it may speak, nor in the
// Manager's, should an admin have let it in there.
func TestAWorkersCommandsAreNotRun(t *testing.T) {
	skipUnlessE2E(t)
	hs := testenv.StartSynapse(t, testenv.HomeserverOptions{})
	w := newMatrixWorld(t, hs)
	w.worker(t, "worker-a")
	stop := w.serve(t)
	own, home := w.placed(t, "worker:worker-a"), w.placed(t, "manager")
	w.hears(t)
	user := "@keyward-worker-a:" + hs.Name
	w.until(t, "the Worker is in its room", func(context.Context) error {
		if m := w.members(t, own)[user]; m != "join" {
			return fmt.Errorf("membership %q", m)
		}
		return nil
	})
	worker := testenv.MatrixUser{ID: user}
	hs.Call(t, http.MethodPost, "/_synapse/admin/v1/users/"+url.PathEscape(user)+"/login", w.alice.Token, struct{}{}, &worker)
	w.say(t, worker, own, "!keyward revoke worker-a")
	w.say(t, w.alice, own, "!keyward revoke worker-a") // not the place for it
	// While the Manager is away an admin lets the Worker into its room.
	stop()
	hs.Call(t, http.MethodPost, "/_matrix/client/v3/rooms/"+url.PathEscape(home)+"/invite", w.alice.Token, map[string]string{"user_id": user}, nil)
	hs.Call(t, http.MethodPost, "/_matrix/client/v3/join/"+url.PathEscape(home), worker.Token, struct{}{}, nil)
	for _, c := range []string{"revoke worker-a", "who", "help"} {
		w.say(t, worker, home, "!keyward "+c)
	}
	w.serve(t)
	w.say(t, w.alice, home, "!keyward why d1") // what was said before was heard
	w.answered(t, home, "no decision has the ID d1")
	if c, err := w.Consumer(t.Context(), "worker-a"); err != nil || c.State != snapshot.Active {
		t.Errorf("the Worker's command was run: %s, %v", c.State, err)
	}
	if list := w.answers(t, home); len(list) != 1 {
		t.Errorf("answers = %q", list)
	}
	for _, m := range w.timeline(t, own).Messages {
		if m.Sender == w.opt.User && m.Records == nil {
			t.Errorf("the Worker was answered %q", m.Body)
		}
	}
	w.until(t, "the Worker is out again", func(context.Context) error {
		if m := w.members(t, home)[user]; m != "leave" {
			return fmt.Errorf("membership %q", m)
		}
		return nil
	})
}
