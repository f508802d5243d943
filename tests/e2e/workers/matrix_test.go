package workers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/matrix"
	"keyward/plugins/seal/unseal"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

// matrixTarget is the homeserver. Its credentials are the Workers' own.
var matrixTarget = manager.NewTarget{ID: "matrix", TargetSpec: manager.TargetSpec{
	Kind: policies.KindHTTP, Match: []snapshot.Match{{Route: "matrix", Path: "/_matrix"}},
}}

// A homeserver has an admin, who looks into rooms.
type homeserver struct {
	*testenv.Homeserver
	alice testenv.MatrixUser
}

func startHomeserver(t *testing.T) *homeserver {
	t.Helper()
	hs := testenv.StartSynapse(t, testenv.HomeserverOptions{})
	return &homeserver{hs, hs.Register(t, "alice", true)}
}

// service is the Manager's account there.
func (h *homeserver) service(t *testing.T, w *world) *matrix.Service {
	t.Helper()
	s, err := matrix.New(w.Store, matrix.Options{
		Homeserver: h.URL, User: "@keyward:" + h.Name, Admins: []string{h.alice.ID}, Target: matrixTarget.ID,
		Registration: matrix.Registration{Secret: h.Secret}, Session: filepath.Join(w.dir, "matrix.session"), Log: w.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// room lets alice into a Worker's room, and returns where it is.
func (w *world) room(t *testing.T, worker string) string {
	t.Helper()
	r, err := w.Room(t.Context(), manager.RoomID(manager.RoomWorker, manager.ConsumerPrefix+worker))
	if err != nil || r.Matrix == "" {
		t.Fatalf("a Worker is there before its room: %+v, %v", r, err)
	}
	w.matrix.join(t, r.Matrix)
	return r.Matrix
}

// join lets alice into a room to which she is invited.
func (h *homeserver) join(t *testing.T, place string) {
	t.Helper()
	h.Call(t, http.MethodPost, "/_matrix/client/v3/join/"+url.PathEscape(place), h.alice.Token, struct{}{}, nil)
}

// shown is all that a room shows, raw.
func (w *world) shown(t *testing.T, place string) json.RawMessage {
	t.Helper()
	var all json.RawMessage
	w.matrix.Call(t, http.MethodGet, "/_matrix/client/v3/rooms/"+url.PathEscape(place)+"/messages?dir=b&limit=1000", w.matrix.alice.Token, nil, &all)
	return all
}

// members are those of a room, by their accounts.
func (w *world) members(t *testing.T, place string) map[string]string {
	t.Helper()
	var state struct {
		Chunk []struct {
			Key     string `json:"state_key"`
			Content struct{ Membership string }
		}
	}
	w.matrix.Call(t, http.MethodGet, "/_matrix/client/v3/rooms/"+url.PathEscape(place)+"/members", w.matrix.alice.Token, nil, &state)
	m := map[string]string{}
	for _, e := range state.Chunk {
		m[e.Key] = e.Content.Membership
	}
	return m
}

// account is that of a Worker.
func (h *homeserver) account(worker string) string {
	return "@keyward-" + manager.ConsumerPrefix + worker + ":" + h.Name
}

// sealedToken is a Worker's Matrix token, which only the gateway can open.
func (w *world) sealedToken(t *testing.T, worker string) string {
	t.Helper()
	snap, err := w.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := w.key.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := unseal.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	for _, c := range snap.Consumers {
		if c.ID == manager.ConsumerPrefix+worker {
			id = c.Credentials[matrixTarget.ID]
		}
	}
	for _, c := range snap.Credentials {
		if c.ID == id {
			secret, err := unseal.Open(keys, &c)
			if err != nil {
				t.Fatal(err)
			}
			return string(secret.Reveal())
		}
	}
	t.Fatalf("no credential %q: the Worker has no access to Matrix", id)
	return ""
}

// whoAmI asks the homeserver itself whose a token is.
func (h *homeserver) whoAmI(t *testing.T, token string) (status int, user string) {
	t.Helper()
	status, b := h.Try(t, http.MethodGet, "/_matrix/client/v3/account/whoami", token, nil)
	var who struct {
		User string `json:"user_id"`
	}
	_ = json.Unmarshal(b, &who) // an error has none
	return status, who.User
}

// checkRoom checks that a Worker's words are in its room beside what the gateway
// decided, and that its token opens what it should.
func (w *world) checkRoom(t *testing.T, worker string) (place, token string) {
	t.Helper()
	place, token = w.room(t, worker), w.sealedToken(t, worker)
	if status, user := w.matrix.whoAmI(t, token); user != w.matrix.account(worker) {
		t.Errorf("its token is of %q, %d", user, status)
	}
	if m := w.members(t, place); m[w.matrix.account(worker)] != "join" {
		t.Errorf("members: %v", m)
	}
	w.until(t, "the room shows it", func() error {
		for _, want := range []string{"hello from the container", "tools/call", "repository[.]delete", "because not_granted"} {
			if text := string(w.shown(t, place)); !strings.Contains(text, want) {
				return fmt.Errorf("%q is not in %s", want, text)
			}
		}
		return nil
	})
	if text := string(w.shown(t, place)); strings.Contains(text, "joined_rooms") {
		t.Errorf("a line about asking for lines: %s", text)
	}
	return place, token
}

// checkLeft checks that nothing is left of a deleted Worker's access to Matrix,
// and that its room is.
func (w *world) checkLeft(t *testing.T, worker, place, token string) {
	t.Helper()
	if status, _ := w.matrix.whoAmI(t, token); status != http.StatusUnauthorized {
		t.Errorf("after its deletion its Matrix token is answered %d", status)
	}
	if m := w.members(t, place); m[w.matrix.account(worker)] != "leave" || m[w.matrix.alice.ID] != "join" {
		t.Errorf("after its deletion members of its room are %v", m)
	}
	l, err := w.Credentials(t.Context(), manager.Page{Limit: manager.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range l.Items {
		if c.ID == "matrix-"+manager.ConsumerPrefix+worker && (!c.Retired || len(c.Versions) > 0) {
			t.Errorf("its credential is %+v", c)
		}
	}
}

// patience is how long anything may take on a machine that has much else to do.
const patience = 5 * time.Minute

// until waits for something to be so.
func (w *world) until(t *testing.T, what string, ready func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := testenv.Await(ctx, func(context.Context) error { return ready() }); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, w.log.String())
	}
}
