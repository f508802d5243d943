package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/tests/testenv"
)

func (w *matrixWorld) say(t *testing.T, u testenv.MatrixUser, place, body string) {
	t.Helper()
	w.seq++
	path := fmt.Sprintf("/_matrix/client/v3/rooms/%s/send/m.room.message/t%d", url.PathEscape(place), w.seq)
	w.hs.Call(t, http.MethodPut, path, u.Token, map[string]string{"msgtype": "m.text", "body": body}, nil)
}

// hears waits until the Manager listens: what is said before is not for it.
func (w *matrixWorld) hears(t *testing.T) {
	t.Helper()
	w.until(t, "the Manager listens", func(ctx context.Context) error {
		since, err := w.Heard(ctx)
		if err == nil && since == "" {
			err = errors.New("it does not yet")
		}
		return err
	})
}

// state waits until a consumer is in a state.
func (w *matrixWorld) state(t *testing.T, consumer string, want snapshot.State) {
	t.Helper()
	w.until(t, consumer+" is "+string(want), func(ctx context.Context) error {
		c, err := w.Consumer(ctx, consumer)
		if err == nil && c.State != want {
			err = fmt.Errorf("it is %s", c.State)
		}
		return err
	})
}

// answers are what the Manager said in its room that shows no entries.
func (w *matrixWorld) answers(t *testing.T, place string) []string {
	t.Helper()
	var list []string
	for _, m := range w.timeline(t, place).Messages {
		if m.Records == nil && m.Sender == w.opt.User {
			list = append(list, m.Body)
		}
	}
	return list
}

func (w *matrixWorld) answered(t *testing.T, place, part string) {
	t.Helper()
	w.until(t, fmt.Sprintf("an answer with %q", part), func(context.Context) error {
		if list := w.answers(t, place); !slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, part) }) {
			return fmt.Errorf("the answers are %q", list)
		}
		return nil
	})
}

func TestCommandsFromTheRoom(t *testing.T) {
	skipUnlessE2E(t)
	homeservers(t, func(t *testing.T, hs *testenv.Homeserver) {
		w := newMatrixWorld(t, hs)
		w.worker(t, "worker-a")
		bob := hs.Register(t, "bob", false)
		stop := w.serve(t)
		home := w.placed(t, "manager")
		w.hears(t)
		w.calls(t, "worker-a", 1)

		w.say(t, w.alice, home, "!keyward suspend worker-a")
		w.state(t, "worker-a", snapshot.Suspended)
		w.answered(t, home, "worker-a is suspended")
		w.say(t, w.alice, home, "!keyward why d1")
		w.answered(t, home, "tools/call")
		w.say(t, w.alice, home, "!keyward resume worker-a")
		w.state(t, "worker-a", snapshot.Active)
		for command, part := range map[string]string{
			"status": "generation", "who": "worker-a (worker) is active", "grants": "none", "resume nobody": "not done", "dance": "not understood",
		} {
			w.say(t, w.alice, home, "!keyward "+command)
			w.answered(t, home, part)
		}

		// Said while the Manager is away, a command is run once it is back, once.
		stop()
		w.say(t, w.alice, home, "!keyward suspend worker-a")
		for i := range 60 { // more than one answer of the homeserver holds
			w.say(t, w.alice, home, fmt.Sprintf("talk %d", i))
		}
		stop = w.serve(t)
		w.state(t, "worker-a", snapshot.Suspended)
		w.mutate(t, func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.SetConsumerState(ctx, "worker-a", 0, snapshot.Active)
			return err
		})
		stop()
		w.serve(t)
		w.say(t, w.alice, home, "!keyward why d2") // the commands before it were heard
		w.answered(t, home, "no decision has the ID d2")
		w.state(t, "worker-a", snapshot.Active)

		// Who is in the room but not in the configuration gets nothing, whatever the
		// level; nor does who is in the configuration but has lost the level.
		before := len(w.answers(t, home))
		path := "/_matrix/client/v3/rooms/" + url.PathEscape(home)
		hs.Call(t, http.MethodPost, path+"/invite", w.alice.Token, map[string]string{"user_id": bob.ID}, nil)
		if status, _ := hs.Try(t, http.MethodPost, "/_matrix/client/v3/join/"+url.PathEscape(home), bob.Token, struct{}{}); status == http.StatusOK {
			_, _ = hs.Try(t, http.MethodPut, path+"/send/m.room.message/b1", bob.Token, map[string]string{"msgtype": "m.text", "body": "!keyward revoke worker-a"})
		}
		w.say(t, w.alice, home, "!keyward why d3")
		w.answered(t, home, "no decision has the ID d3")
		if c, err := w.Consumer(t.Context(), "worker-a"); err != nil || c.State != snapshot.Active {
			t.Errorf("a stranger's command was run: %s, %v", c.State, err)
		}
		if n := len(w.answers(t, home)); n != before+1 {
			t.Errorf("%d answers, want %d", n, before+1)
		}

		l, err := w.Events(t.Context(), store.EventFilter{Actor: w.alice.ID}, manager.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		said := map[string]int{}
		for _, e := range l.Items {
			said[e.Action]++
		}
		if want := map[string]int{
			"consumer.resume": 1, "consumer.suspend": 2, "room.command-grants": 1, "room.command-help": 1, "room.command-resume": 2,
			"room.command-status": 1, "room.command-suspend": 2, "room.command-who": 1, "room.command-why": 3,
		}; !maps.Equal(said, want) {
			t.Errorf("audit events = %v, want %v", said, want)
		}
	})
}
