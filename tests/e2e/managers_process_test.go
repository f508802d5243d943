package e2e

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyward/manager"
)

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startManager runs the Manager until the test ends. It returns its process, the
// admin token of its first start, and the file with its log.
func startManager(t *testing.T, keyward, config, api string) (pid int, token, log string) {
	t.Helper()
	pid, log = awaitManager(t, keyward, config, api)
	for word := range strings.FieldsSeq(read(t, log)) {
		if manager.ValidSecret(manager.AdminPrefix, word) {
			return pid, word, log
		}
	}
	t.Fatal("the Manager showed no admin token")
	return 0, "", ""
}

// awaitManager runs the Manager until the test ends.
func awaitManager(t *testing.T, keyward, config, api string) (pid int, log string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "manager.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(keyward, "manager", "--config", config)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+api+"/openapi.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			return cmd.Process.Pid, out.Name()
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the Manager ended: %v\n%s", err, read(t, out.Name()))
		case <-ctx.Done():
			t.Fatal("the Manager does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
