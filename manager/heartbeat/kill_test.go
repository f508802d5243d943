package heartbeat_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/heartbeat"
	"keyward/manager/store"
)

// envStore has the test binary run itself as a Manager that only watches, until it
// is killed.
const envStore = "KEYWARD_TEST_HEARTBEAT_STORE"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(envStore); dsn != "" {
		if err := watch(dsn); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func watch(dsn string) error {
	s, err := store.Open(context.Background(), dsn, store.Options{})
	if err != nil {
		return err
	}
	e := &engine{list: []manager.Instance{{Worker: "researcher", Run: "r", Phase: manager.PhaseRunning, Started: time.Now()}}}
	h, err := heartbeat.New(s, e, heartbeat.Options{Every: time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	fmt.Println("watching")
	h.Run(context.Background())
	return nil
}

// testKilled kills what watches again and again, a little later each time: what is
// told and done is told and done once.
func testKilled(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	w.now = time.Now()
	w.record(t, 12, denied)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 8 {
		c := exec.CommandContext(t.Context(), exe)
		c.Env = append(os.Environ(), envStore+"="+w.dsn)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "watching\n" {
			t.Fatalf("it says %q, %v", line, err)
		}
		time.Sleep(time.Duration(n) * 3 * time.Millisecond)
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	}
	s, err := store.Open(t.Context(), w.dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h, err := heartbeat.New(s, w.engine, heartbeat.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	const why = "github tools/call delete_everything was denied 12 times"
	after := &world{Store: s}
	after.told(t, "is-misbehaving: "+why, "suspend: "+why)
}
