package workers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/tests/testenv"
)

// TestAWorkerWorks takes a Worker from its creation to its end, and looks for real
// keys in all that there is afterwards.
func TestAWorkerWorks(t *testing.T) {
	needE2E(t)
	var found findings
	for _, tt := range []struct {
		name string
		as   setting
	}{
		{"embedded gateway and SQLite", setting{matrix: true}},
		{"Envoy and PostgreSQL", setting{matrix: true, envoy: true, postgres: true}},
	} {
		t.Run(tt.name, func(t *testing.T) { life(t, newWorld(t, tt.as), &found) })
	}
	writeProbes(t, map[string]int{"canary_places": len(found.places), "canary_found": found.keys})
}

// life is that of a Worker.
func life(t *testing.T, w *world, found *findings) {
	image := w.Image(t, "agent", testenv.GoBuildStatic(t, "./tests/e2e/workers/agent"))
	start := time.Now()
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.CreateWorker(ctx, manager.NewWorker{
			ID: "researcher", WorkerSpec: manager.WorkerSpec{Image: image},
			Grants: []manager.WorkerGrant{{Target: "github", GrantSpec: manager.GrantSpec{Tools: []string{"echo"}}}, {Target: "llm"}, {Target: "matrix", GrantSpec: roomGrant}},
		})
		return err
	})
	first := w.works(t)
	t.Logf("from the wish to the answers of three calls: %v", time.Since(start))
	w.inspect(t)
	place, token := w.checkRoom(t, "researcher")
	w.keys = append(w.keys, token) // the Worker must not have it
	w.search(t, "while it runs", found)

	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.ResetWorker(ctx, "researcher", 0)
		return err
	})
	second := w.works(t)
	if first.Run == second.Run {
		t.Error("the reset kept the container")
	}
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.RotateWorker(ctx, "researcher", 0, manager.WorkerRotation{})
		return err
	})
	if third := w.works(t); third.TokenID == second.TokenID {
		t.Error("the rotation kept the token")
	}
	w.search(t, "after a rotation", found)
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.DeleteWorker(ctx, "researcher", 0)
		return err
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, err := w.Worker(t.Context(), "researcher"); errors.Is(err, manager.ErrNotFound) {
			break
		} else if err != nil || time.Now().After(deadline) {
			t.Fatalf("it is not deleted: %v\n%s", err, w.log.String())
		}
	}
	if list, err := w.backend.Instances(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("left: %+v, %v", list, err)
	}
	w.checkLeft(t, "researcher", place, token)
	w.search(t, "at the end", found)
}

// roomGrant is what a Worker needs of Matrix to speak in its room.
var roomGrant = manager.GrantSpec{
	Methods: []string{"GET", "PUT"}, Paths: []string{"/_matrix/client/v3/joined_rooms", "/_matrix/client/v3/rooms"},
}

// works waits until the Worker's container has done its job, and checks how.
func (w *world) works(t *testing.T) manager.Worker {
	t.Helper()
	var got manager.Worker
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var err error
		if got, err = w.Worker(t.Context(), "researcher"); err != nil {
			t.Fatal(err)
		}
		if got.Task == "" && got.Problem == "" {
			break
		}
		if time.Now().After(deadline) || got.Task == "" {
			t.Fatalf("it is %+v\n%s", got, w.log.String())
		}
	}
	var r struct{ Allowed, Denied, Chat, Room string }
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		b, err := w.backend.Logs(t.Context(), "researcher", 10)
		if err == nil && bytes.HasSuffix(b, []byte("}\n")) {
			if err := json.Unmarshal(b, &r); err != nil {
				t.Fatalf("%v: %s", err, b)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it wrote %q, %v", b, err)
		}
	}
	if !strings.HasPrefix(r.Allowed, "200 ") || !strings.Contains(r.Allowed, "done, with") {
		t.Errorf("the allowed call: %s", r.Allowed)
	}
	if !strings.Contains(r.Denied, `"error"`) || strings.Contains(r.Denied, "done, with") {
		t.Errorf("the denied call: %s", r.Denied)
	}
	if !strings.HasPrefix(r.Chat, "200 ") || !strings.Contains(r.Chat, "hello there") {
		t.Errorf("the chat: %s", r.Chat)
	}
	if w.matrix != nil && (!strings.HasPrefix(r.Room, "200 ") || !strings.Contains(r.Room, "event_id")) {
		t.Errorf("its words in its room: %s", r.Room)
	}
	return got
}

// inspect checks that what the engine tells of a Worker has its token and no other
// secret.
func (w *world) inspect(t *testing.T) {
	t.Helper()
	var c struct{ Config struct{ Env []string } }
	if err := json.Unmarshal(w.Get(t, "/v1.41/containers/keyward-worker-researcher/json"), &c); err != nil {
		t.Fatal(err)
	}
	for _, v := range c.Config.Env {
		name, value, _ := strings.Cut(v, "=")
		if strings.HasPrefix(value, "kwt_") || strings.HasPrefix(value, "http://gateway:8080") || strings.HasPrefix(value, manager.WorkerFiles) {
			continue
		}
		switch name {
		case "KEYWARD_WORKER", "HICLAW_WORKER_NAME", "HICLAW_FS_ACCESS_KEY", "HICLAW_FS_BUCKET", "HICLAW_STORAGE_PREFIX", "HICLAW_MATRIX_DOMAIN", "HOME", "PATH":
		default:
			t.Errorf("its environment has %q", v)
		}
	}
}
