package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/tools/demo/upstream"
	"keyward/tools/dockerd"
)

// container is the life of a Worker that the Manager runs, where an engine can be
// had.
var container = chapter{
	title: "The Manager runs a Worker in a container that has no network and one token",
	needs: func(s *Stage) error { return s.noEngine },
	steps: []step{
		{"an image of one static program, which nobody has to pull", (*teller).image},
		{"keyward worker create " + workerID + ": consumer, grants, room, token, container", (*teller).launch},
		{"in its container it does its work", (*teller).deeds},
		{"its room shows each call, and what it said itself", (*teller).containersRoom},
		{"what the engine knows of it: a consumer token, and no other secret", (*teller).inspect},
		{"keyward worker suspend: cut off at once, then stopped", (*teller).suspend},
		{"keyward worker delete: nothing of it is left but its room and the log", (*teller).remove},
	},
}

const workerID = "analyst"

func (t *teller) image(ctx context.Context) (string, error) {
	binary := filepath.Join(t.stage.engine.bin, agentProgram)
	st, err := os.Stat(binary)
	if err != nil {
		return "", err
	}
	t.imageID, err = t.stage.engine.Image(ctx, "keyward-demo-agent", binary, dockerd.File{Name: "agent", Mode: 0o755})
	return fmt.Sprintf("%.19s, %d kB", t.imageID, st.Size()/1000), err
}

func (t *teller) launch(ctx context.Context) (string, error) {
	n := manager.NewWorker{
		ID: workerID, WorkerSpec: manager.WorkerSpec{Image: t.imageID},
		Grants: []manager.WorkerGrant{
			{Target: mcpTarget, GrantSpec: manager.GrantSpec{Tools: []string{upstream.ToolRead, upstream.ToolEcho}}},
			{Target: llmTarget},
		},
	}
	if t.stage.matrix != nil {
		n.Grants = append(n.Grants, manager.WorkerGrant{Target: matrixTarget, GrantSpec: manager.GrantSpec{
			Methods: []string{"GET", "PUT"}, Paths: []string{matrixPath + "/client/v3/joined_rooms", matrixPath + "/client/v3/rooms"},
		}})
	}
	begin := time.Now()
	if _, _, err := t.stage.admin.CreateWorker(ctx, client.Request{}, n); err != nil {
		return "", err
	}
	w, err := t.settled(ctx)
	return fmt.Sprintf("runs after %d ms: %s", time.Since(begin).Milliseconds(), strings.Join(w.Done, ", ")), err
}

// settled waits until the Worker is as wanted.
func (t *teller) settled(ctx context.Context) (w manager.WatchedWorker, err error) {
	err = until(ctx, func() error {
		w, err = t.stage.admin.Worker(ctx, workerID)
		if err == nil && (w.Task != "" || w.Problem != "") {
			err = fmt.Errorf("the Worker is at %s: %s", w.Task, w.Problem)
		}
		return err
	})
	return w, err
}

func (t *teller) deeds(ctx context.Context) (string, error) {
	type deed struct{ Deed, Said string }
	var list []deed
	err := until(ctx, func() error {
		b, err := t.stage.admin.WorkerLogs(ctx, workerID, 20)
		list = nil
		for line := range strings.Lines(string(b)) {
			var d deed
			if err := json.Unmarshal([]byte(line), &d); err != nil {
				return fmt.Errorf("%w: %q", err, line)
			}
			list = append(list, d)
		}
		if err == nil && !slices.Contains(list, deed{Deed: "done"}) {
			err = fmt.Errorf("it wrote %q", b)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	var seen []string
	for _, d := range list {
		t.heard.WriteString(d.Said)
		want, ok := map[string]string{
			"tools": upstream.ToolEcho + ", " + upstream.ToolRead, "allowed": repository + "#7", "denied": "error: ",
			"echo": "authorization: Bearer ***", "chat": "You said: hello there", "room": "hello from the container",
		}[d.Deed]
		if d.Deed == "room" && t.stage.matrix == nil || !ok {
			continue
		}
		if !strings.HasPrefix(d.Said, want) {
			return "", fmt.Errorf("%s: it was told %q, not %q", d.Deed, d.Said, want)
		}
		seen = append(seen, fmt.Sprintf("%-8s %s", d.Deed, d.Said))
	}
	return strings.Join(seen, "\n    "), nil
}

func (t *teller) containersRoom(ctx context.Context) (string, error) {
	if t.stage.matrix == nil {
		return leftOut + errNoHomeserver.Error(), nil
	}
	place, err := t.room(ctx, manager.RoomID(manager.RoomWorker, manager.ConsumerPrefix+workerID))
	if err != nil {
		return "", err
	}
	calls, err := t.lines(ctx, place, "mcp")
	if err != nil {
		return "", err
	}
	own, err := t.said(ctx, place, "@keyward-"+manager.ConsumerPrefix+workerID+":"+serverName)
	return calls + "\n    " + own, err
}

// inspect searches what the engine tells of the Worker, and takes the token that
// whoever has the engine finds there.
func (t *teller) inspect(ctx context.Context) (string, error) {
	b, err := t.stage.engine.Get(ctx, "/containers/demo-worker-"+workerID+"/json")
	if err != nil {
		return "", err
	}
	for _, key := range append(t.realKeys(), t.stage.secrets.admin, t.stage.secrets.worker) {
		if strings.Contains(string(b), key) {
			return "", errors.New("the engine knows a secret that is not the Worker's")
		}
	}
	var c struct {
		Config     struct{ Env []string }
		HostConfig struct {
			NetworkMode    string
			ReadonlyRootfs bool
			CapDrop        []string
		}
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return "", err
	}
	for _, v := range c.Config.Env {
		if name, value, _ := strings.Cut(v, "="); name == "KEYWARD_TOKEN" {
			t.leaked = value
		}
	}
	if t.leaked == "" || !c.HostConfig.ReadonlyRootfs || !slices.Equal(c.HostConfig.CapDrop, []string{"ALL"}) {
		return "", errors.New("it is not as it should be")
	}
	return fmt.Sprintf("searched %d bytes; capabilities dropped: %s, root read-only: %t, network: that of its door, a loopback", len(b), c.HostConfig.CapDrop[0], c.HostConfig.ReadonlyRootfs), nil
}

func (t *teller) suspend(ctx context.Context) (string, error) {
	begin := time.Now()
	_, change, err := t.stage.admin.SuspendWorker(ctx, wait, workerID)
	seen, err := inForce(begin, change, err)
	if err != nil {
		return "", err
	}
	status, said, err := newWorker(t.stage.Gateway, t.leaked).chat(ctx, "am I still here?")
	if err == nil && (status != 401 || !strings.Contains(said, "consumer_suspended")) {
		err = fmt.Errorf("the gateway answered %d %q", status, said)
	}
	if err != nil {
		return "", err
	}
	if _, err := t.settled(ctx); err != nil {
		return "", err
	}
	st, err := t.stage.admin.WorkerStatus(ctx, workerID)
	if err == nil && (st.Instance == nil || st.Instance.Phase != manager.PhaseStopped) {
		err = fmt.Errorf("its container is %+v", st.Instance)
	}
	return seen + "; its token, even outside: 401 consumer_suspended; its container has stopped", err
}

func (t *teller) remove(ctx context.Context) (string, error) {
	if _, _, err := t.stage.admin.DeleteWorker(ctx, client.Request{}, workerID); err != nil {
		return "", err
	}
	err := until(ctx, func() error {
		w, err := t.stage.admin.Worker(ctx, workerID)
		if errors.Is(err, manager.ErrNotFound) {
			return nil
		}
		return errors.Join(err, fmt.Errorf("it is at %s: %s", w.Task, w.Problem))
	})
	if err != nil {
		return "", err
	}
	b, err := t.stage.engine.Get(ctx, "/containers/json?all=1")
	if err == nil && strings.Contains(string(b), workerID) {
		err = errors.New("a container is left")
	}
	if err != nil || t.stage.matrix == nil {
		return "its containers and its volume are gone", err
	}
	r, err := t.stage.admin.Room(ctx, manager.RoomID(manager.RoomWorker, manager.ConsumerPrefix+workerID))
	return "its containers and its volume are gone, its Matrix token is dead; room " + r.Matrix + " stays", err
}
