package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/matrix"
	"keyward/manager/store"
	"keyward/plugins/seal"
	"keyward/plugins/seal/unseal"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

func TestRateLimitsAreKept(t *testing.T) {
	skipUnlessE2E(t)
	w := newMatrixWorld(t, testenv.StartSynapse(t, testenv.HomeserverOptions{Limits: true}))
	metrics := prometheus.NewRegistry()
	w.opt.Metrics = metrics
	w.worker(t, "worker-a")
	w.serve(t)
	place := w.placed(t, "worker:worker-a")
	calls := 0
	w.until(t, "Synapse asks to wait", func(context.Context) error {
		w.calls(t, "worker-a", 1) // each in a message of its own, as long as it may
		calls++
		if limited(t, metrics) == 0 {
			return fmt.Errorf("it took %d messages", calls)
		}
		return nil
	})
	w.calls(t, "worker-a", 100)
	w.settled(t)
	tl := w.shows(t, place, calls+100)
	t.Logf("%d calls in %d messages, %v times asked to wait", calls+100, len(tl.Messages), limited(t, metrics))
}

// limited is how often the homeserver asked to wait.
func limited(t *testing.T, g prometheus.Gatherer) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "keyward_matrix_limited_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatal("nothing counts it")
	return 0
}

func TestARoomThatIsGoneIsMadeAnew(t *testing.T) {
	skipUnlessE2E(t)
	hs := testenv.StartSynapse(t, testenv.HomeserverOptions{})
	w := newMatrixWorld(t, hs)
	w.worker(t, "worker-a")
	w.serve(t)
	old := w.placed(t, "worker:worker-a")
	w.calls(t, "worker-a", 3)
	w.settled(t)
	hs.Call(t, http.MethodDelete, "/_synapse/admin/v1/rooms/"+url.PathEscape(old), w.alice.Token, map[string]bool{"purge": true, "force_purge": true}, nil)
	w.calls(t, "worker-a", 4)
	w.settled(t)
	place := w.placed(t, "worker:worker-a")
	if place == old {
		t.Error("the room is the one that is gone")
	}
	w.shows(t, place, 4)
	// A Manager whose token was ended signs in again.
	var devices struct {
		Devices []struct {
			ID string `json:"device_id"`
		} `json:"devices"`
	}
	path := "/_synapse/admin/v2/users/" + url.PathEscape(w.opt.User) + "/devices"
	hs.Call(t, http.MethodGet, path, w.alice.Token, nil, &devices)
	for _, d := range devices.Devices {
		hs.Call(t, http.MethodDelete, path+"/"+url.PathEscape(d.ID), w.alice.Token, nil, nil)
	}
	w.calls(t, "worker-a", 5)
	w.settled(t)
	w.shows(t, place, 9)
}

// AWAY is for how many seconds the homeserver is away; an hour was tried too.
func TestAHomeserverThatIsAwayIsWaitedFor(t *testing.T) {
	skipUnlessE2E(t)
	away := time.Duration(testenv.Number(t, "AWAY", 3)) * time.Second
	homeservers(t, func(t *testing.T, hs *testenv.Homeserver) {
		w := newMatrixWorld(t, hs)
		w.worker(t, "worker-a")
		w.serve(t)
		place := w.placed(t, "worker:worker-a")
		w.settled(t)
		hs.Kill()
		calls := 0
		for range 30 {
			w.calls(t, "worker-a", 10)
			calls += 10
			time.Sleep(away / 30) // tries fail meanwhile
		}
		hs.Start(t)
		w.settled(t)
		w.shows(t, place, calls)
	})
}

func TestAccountsByRegistrationToken(t *testing.T) {
	skipUnlessE2E(t)
	hs := testenv.StartSynapse(t, testenv.HomeserverOptions{Tokens: true})
	w := newMatrixWorld(t, hs)
	w.opt.Registration = matrix.Registration{Token: hs.RegistrationToken(t, w.alice)}
	w.worker(t, "worker-a")
	w.serve(t)
	place := w.placed(t, "worker:worker-a")
	w.until(t, "the Worker is in its room", func(context.Context) error {
		if m := w.members(t, place)["@keyward-worker-a:"+hs.Name]; m != "join" {
			return fmt.Errorf("membership %q", m)
		}
		return nil
	})
}

func TestAWorkersTokenIsSealedToTheGateway(t *testing.T) {
	skipUnlessE2E(t)
	hs := testenv.StartSynapse(t, testenv.HomeserverOptions{})
	w := newMatrixWorld(t, hs)
	key, err := seal.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	w.opt.Target = "matrix"
	w.mutate(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.AddSealingKey(ctx, manager.SealingKeySpec{Public: key.Public().String()})
		return err
	})
	w.worker(t, "worker-a")
	w.mutate(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateTarget(ctx, manager.NewTarget{ID: "matrix", TargetSpec: manager.TargetSpec{
			Kind: policies.KindHTTP, Match: []snapshot.Match{{Host: "matrix.example"}},
			Upstream: snapshot.Upstream{Hosts: []string{"matrix.example"}}, Inject: &snapshot.Inject{Form: snapshot.Bearer},
		}})
		return err
	})
	stop := w.serve(t)
	place := w.placed(t, "worker:worker-a")
	w.until(t, "the Worker has a credential", func(ctx context.Context) error {
		c, err := w.Consumer(ctx, "worker-a")
		if err == nil && c.Credentials["matrix"] == "" {
			err = fmt.Errorf("it has %v", c.Credentials)
		}
		return err
	})
	s, err := w.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := unseal.ParseKeys(private)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Credentials {
		token, err := unseal.Open(keys, &c)
		if err != nil {
			t.Fatal(err)
		}
		var who struct {
			User string `json:"user_id"`
		}
		hs.Call(t, http.MethodGet, "/_matrix/client/v3/account/whoami", string(token.Reveal()), nil, &who)
		if who.User != "@keyward-worker-a:"+hs.Name {
			t.Errorf("the token is of %s", who.User)
		}
		// What the Worker may not.
		path := "/_matrix/client/v3/rooms/" + url.PathEscape(place)
		for what, try := range map[string]struct {
			method, path string
			body         any
		}{
			"invite":       {http.MethodPost, path + "/invite", map[string]string{"user_id": "@mallory:" + hs.Name}},
			"rename":       {http.MethodPut, path + "/state/m.room.name", map[string]string{"name": "x"}},
			"take power":   {http.MethodPut, path + "/state/m.room.power_levels", map[string]any{"users": map[string]int{who.User: 100}}},
			"remove admin": {http.MethodPost, path + "/kick", map[string]string{"user_id": w.alice.ID}},
			"redact":       {http.MethodPut, path + "/redact/" + url.PathEscape(w.firstEvent(t, place)) + "/t1", struct{}{}},
		} {
			if status, b := hs.Try(t, try.method, try.path, string(token.Reveal()), try.body); status != http.StatusForbidden {
				t.Errorf("%s: status %d: %s", what, status, b)
			}
		}
		if strings.Contains(w.log.String(), string(token.Reveal())) {
			t.Error("the token is in the log")
		}
	}
	if len(s.Credentials) != 1 {
		t.Errorf("%d credentials", len(s.Credentials))
	}
	if strings.Contains(w.log.String(), hs.Secret) {
		t.Error("the registration secret is in the log")
	}
	stop()
	before, err := w.Credential(t.Context(), "matrix-worker-a")
	if err != nil {
		t.Fatal(err)
	}
	stop = w.serve(t)
	w.calls(t, "worker-a", 1)
	w.settled(t)
	stop()
	if after, err := w.Credential(t.Context(), "matrix-worker-a"); err != nil || after.Version != before.Version {
		t.Errorf("sealed again without need: %d, %d, %v", before.Version, after.Version, err)
	}
}

// firstEvent is the ID of a message in a room.
func (w *matrixWorld) firstEvent(t *testing.T, place string) string {
	t.Helper()
	w.calls(t, "worker-a", 1)
	w.settled(t)
	var page struct {
		Chunk []struct {
			Type string `json:"type"`
			ID   string `json:"event_id"`
		} `json:"chunk"`
	}
	w.hs.Call(t, http.MethodGet, "/_matrix/client/v3/rooms/"+url.PathEscape(place)+"/messages?dir=b&limit=50", w.alice.Token, nil, &page)
	for _, e := range page.Chunk {
		if e.Type == "m.room.message" {
			return e.ID
		}
	}
	t.Fatal("the room has no message")
	return ""
}
