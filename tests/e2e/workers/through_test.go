package workers_test

import (
	"crypto/rand"
	"encoding/json"
	"testing"

	"keyward/manager"
	"keyward/plugins/token"
	"keyward/tests/testenv"
	"keyward/tools/demo/upstream"
)

// TestNoWayThroughTheGateway runs the probe as a Worker that has a gateway which
// decides: the way that is open must lead to what was granted, and no further.
func TestNoWayThroughTheGateway(t *testing.T) {
	needE2E(t)
	for name, as := range map[string]setting{"embedded": {matrix: true}, "envoy": {matrix: true, envoy: true}} {
		t.Run(name, func(t *testing.T) { through(t, newWorld(t, as)) })
	}
}

func through(t *testing.T, w *world) {
	h := listening(t, w.Docker)
	agent := w.Image(t, "agent", testenv.GoBuildStatic(t, "./tools/demo/agent"))
	probe := w.Image(t, "probe", testenv.GoBuildStatic(t, "./tests/attacks/probe"))
	tools := manager.WorkerGrant{Target: "github", GrantSpec: manager.GrantSpec{Tools: []string{upstream.ToolRead}}}
	rooms := manager.WorkerGrant{Target: "matrix", GrantSpec: roomGrant}
	w.create(t, manager.NewWorker{ID: "other", WorkerSpec: manager.WorkerSpec{Image: agent}, Grants: []manager.WorkerGrant{tools, rooms, {Target: "llm"}}})
	w.deeds(t, "other")
	home, err := w.Room(t.Context(), manager.ManagerRoom)
	if err != nil {
		t.Fatal(err)
	}
	v := w.newVictim(t)
	made, err := token.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	world := h.world(t)
	world["Secret"] = w.digestOf(t, "other")
	world["Real"] = map[string]string{"Other": manager.ConsumerPrefix + "other", "Room": w.room(t, "other"), "Manager": home.Matrix, "Made": made, "Session": v.id, "Event": v.event}
	told, err := json.Marshal(world)
	if err != nil {
		t.Fatal(err)
	}
	w.create(t, manager.NewWorker{
		ID: "probe", Grants: []manager.WorkerGrant{tools, rooms, {Target: "desk", GrantSpec: deskGrant}},
		WorkerSpec: manager.WorkerSpec{Image: probe, Command: []string{string(told)}, Limits: probeLimits, Writable: map[string]int64{"/tmp": 16}},
	})
	w.until(t, "the probe runs", func() error {
		_, err := w.backend.Instance(t.Context(), "probe")
		return err
	})
	h.judge(t, report(t, w.backend, "probe"), 110)
	v.works(t)
	if status, _ := w.matrix.whoAmI(t, w.sealedToken(t, "probe")); status != 200 {
		t.Errorf("after all that its Matrix token is answered %d", status)
	}
}

// digestOf is the SHA-256 of a Worker's token, in hex.
func (w *world) digestOf(t *testing.T, worker string) string {
	t.Helper()
	snap, err := w.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range snap.Consumers {
		if c.ID == manager.ConsumerPrefix+worker && len(c.Tokens) > 0 {
			return c.Tokens[0].SHA256
		}
	}
	t.Fatalf("%s has no token", worker)
	return ""
}
