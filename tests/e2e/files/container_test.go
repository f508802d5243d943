package files_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/manager/client"
	"keyward/tests/testenv"
)

// TestAWorkersContainerHasItsFiles has the Manager make a Worker whose image is
// keyward-sync and nothing else. It is given no grant: its own prefix comes with it.
func TestAWorkersContainerHasItsFiles(t *testing.T) {
	testenv.Heavy(t, "MinIO, a Manager, a gateway and a Docker engine")
	engine := testenv.StartDocker(t)
	l := engine.Listen(t, "0.0.0.0:0")
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, embedded, fmt.Sprintf("workers: {docker: {host: %q, to: \"host:%s\", forwarder: %q}}", engine.Host, port, testenv.GoBuildStatic(t, "./tools/forward")))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go relay(c, w.addr)
		}
	}()
	w.grant("a", "objects", []string{"PUT", "GET"}, "/keyward/workers/researcher")
	task := w.folder("a", "workers/researcher")
	task.write("task.md", []byte("what is to be done"))
	task.run("push", 0)

	image := engine.Image(t, "sync", w.sync)
	_, _, err = w.api.CreateWorker(t.Context(), client.Request{}, nouns.NewWorker{
		ID: "researcher", WorkerSpec: nouns.WorkerSpec{Image: image, Command: []string{"sync", "/tmp/work"}},
	})
	w.must(err)
	var said string
	for deadline := time.Now().Add(patience); !strings.Contains(said, "task.md"); time.Sleep(100 * time.Millisecond) {
		if b, err := w.api.WorkerLogs(t.Context(), "researcher", 100); err == nil {
			said = string(b)
		}
		if time.Now().After(deadline) {
			t.Fatalf("it said %q\n%s", said, w.log.String())
		}
	}
	if !strings.HasPrefix(said, "pull ") {
		t.Errorf("it said %q", said)
	}
	inspect := string(engine.Get(t, "/v1.41/containers/keyward-worker-researcher/json"))
	for name, key := range map[string]string{"MinIO": w.minio.SecretKey, "the files service": w.key} {
		if strings.Contains(inspect, key) || !strings.Contains(inspect, "KEYWARD_GATEWAY=") {
			t.Errorf("the container's description has the key of %s, or is none", name)
		}
	}
	// Its end: grants go with it, files stay.
	_, _, err = w.api.DeleteWorker(t.Context(), client.Request{}, "researcher")
	w.must(err)
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if _, err := w.api.Worker(t.Context(), "researcher"); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not deleted\n%s", w.log.String())
		}
	}
	grants, err := w.api.Grants(t.Context(), "worker-researcher", "", nouns.Page{})
	if err != nil || len(grants.Items) > 0 {
		t.Errorf("left: %+v, %v", grants.Items, err)
	}
	w.must(os.Remove(filepath.Join(task.dir, "task.md")))
	again := w.folder("a", "workers/researcher")
	again.run("pull", 0)
	again.has("task.md", []byte("what is to be done"))
	w.noKeys()
}

func relay(c net.Conn, to string) {
	defer c.Close()
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer up.Close()
	go func() { _, _ = io.Copy(up, c) }()
	_, _ = io.Copy(c, up)
}
