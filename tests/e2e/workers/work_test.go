package workers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/tests/testenv"
	"keyward/tools/demo/upstream"
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
		{"embedded gateway and SQLite", setting{matrix: true, files: true}},
		{"Envoy and PostgreSQL", setting{matrix: true, files: true, envoy: true, postgres: true}},
	} {
		t.Run(tt.name, func(t *testing.T) { life(t, newWorld(t, tt.as), &found) })
	}
	testenv.AddFigures(t, "probes.json", map[string]int{"canary_places": len(found.places), "canary_found": found.keys})
}

// life is that of a Worker.
func life(t *testing.T, w *world, found *findings) {
	image := w.Image(t, "agent", testenv.GoBuildStatic(t, "./tools/demo/agent"))
	start := time.Now()
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.CreateWorker(ctx, manager.NewWorker{
			ID: "researcher", WorkerSpec: manager.WorkerSpec{Image: image},
			Grants: []manager.WorkerGrant{{Target: "github", GrantSpec: manager.GrantSpec{Tools: []string{upstream.ToolRead, upstream.ToolEcho}}}, {Target: "llm"}, {Target: "matrix", GrantSpec: roomGrant}},
		})
		return err
	})
	first := w.works(t)
	t.Logf("from the wish to the answers of all calls: %v", time.Since(start))
	w.metered(t, "researcher")
	w.inspect(t)
	place, token := w.checkRoom(t, "researcher")
	w.keys = append(w.keys, token) // the Worker must not have it
	w.issued[token] = homeserverData
	w.known = map[string]string{objectStore: "what the Worker wrote", homeserverData: "hello from the container", "the log of the homeserver": "PUT"}
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
	w.faults(t)
	w.works(t)
	w.search(t, "after faults", found)
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.SetConsumerState(ctx, manager.ConsumerPrefix+"researcher", 0, snapshot.Revoked)
		return err
	})
	w.until(t, "its container is stopped", func() error {
		i, err := w.backend.Instance(t.Context(), "researcher")
		if err == nil && i.Phase != manager.PhaseStopped {
			err = fmt.Errorf("it is %+v", i)
		}
		return err
	})
	w.search(t, "after it was revoked", found)
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.DeleteWorker(ctx, "researcher", 0)
		return err
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
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

// faults kill what a Worker works with, and the Worker, which is made anew then.
func (w *world) faults(t *testing.T) {
	t.Helper()
	w.minio.Kill()
	w.matrix.Kill()
	w.minio.Start(t)
	w.matrix.Start(t)
	// It answers before it has read its users.
	w.until(t, "the object store lets the Manager in", func() error { return w.objects.Prepare(t.Context()) })
	w.Do(t, http.MethodDelete, "/v1.41/containers/keyward-worker-researcher?force=1", nil)
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.ResetWorker(ctx, "researcher", 0)
		return err
	})
}

// roomGrant is what a Worker needs of Matrix to speak in its room.
var roomGrant = manager.GrantSpec{
	Methods: []string{"GET", "PUT"}, Paths: []string{"/_matrix/client/v3/joined_rooms", "/_matrix/client/v3/rooms"},
}

// works waits until the Worker's container has done its job, and checks how.
func (w *world) works(t *testing.T) manager.Worker {
	t.Helper()
	var got manager.Worker
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
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
	deeds := w.deeds(t, "researcher")
	for deed, want := range map[string]string{
		"tools": "debug.headers, issues.read", "allowed": "acme/site#7: the door is open", "denied": "error: ",
		"echo": "authorization: Bearer ***", "chat": "You said: hello there",
	} {
		if !strings.HasPrefix(deeds[deed], want) {
			t.Errorf("%s: it got %q, want %q", deed, deeds[deed], want)
		}
	}
	if w.minio != nil && deeds["file"] != "what the Worker wrote" {
		t.Errorf("its file: %s", deeds["file"])
	}
	if w.matrix != nil && deeds["room"] != "hello from the container" {
		t.Errorf("its words in its room: %s", deeds["room"])
	}
	return got
}

// deeds waits until a Worker's container has done all that it does, and returns
// what came of each.
func (w *world) deeds(t *testing.T, worker string) map[string]string {
	t.Helper()
	deeds := map[string]string{}
	w.until(t, "the Worker has done it all", func() error {
		b, err := w.backend.Logs(t.Context(), worker, 20)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(b)) {
			var d struct{ Deed, Said string }
			if err := json.Unmarshal([]byte(line), &d); err != nil {
				return fmt.Errorf("%w: %q", err, line)
			}
			deeds[d.Deed] = d.Said
		}
		if _, done := deeds["done"]; !done {
			return fmt.Errorf("it wrote %q", b)
		}
		return nil
	})
	return deeds
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
