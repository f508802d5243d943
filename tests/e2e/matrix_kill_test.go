package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/matrix"
	"keyward/manager/store"
	"keyward/policies"
	"keyward/tests/testenv"
)

// childVariable makes this test's binary a Manager that records calls and shows
// them, to be killed.
const childVariable = "KEYWARD_TEST_MATRIX_MANAGER"

// A child is what such a process is told.
type child struct {
	Store   string
	Workers []string
	Run     int // which start it is
	Options struct {
		Homeserver, User, Secret, Session string
		Admins                            []string
	}
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		if err := beManager(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beManager records calls of all Workers and shows them, until it is stopped.
func beManager(text string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	s, err := store.Open(ctx, c.Store, store.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	m, err := matrix.New(s, matrix.Options{
		Homeserver: c.Options.Homeserver, User: c.Options.User, Admins: c.Options.Admins, Session: c.Options.Session,
		Registration: matrix.Registration{Secret: c.Options.Secret}, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	for n := uint64(1); ctx.Err() == nil; n++ {
		worker := c.Workers[int(n)%len(c.Workers)]
		err := s.AppendRecords(ctx, "gateway", "vm"+strconv.Itoa(c.Run), []policies.Record{{
			Type: policies.RecordDecision, ID: fmt.Sprintf("r%d-%d", c.Run, n), Time: time.Now().UTC(), Sequence: n,
			Kind: policies.KindMCP, Consumer: worker, Target: "github", Method: "tools/call", Name: "create_issue", Verdict: policies.Allow,
		}})
		if err != nil && ctx.Err() == nil {
			return err
		}
		if n%10 == 0 {
			time.Sleep(200 * time.Millisecond) // calls come in bursts
		}
	}
	<-done
	return nil
}

// number reads how much to do, for longer runs by hand.
func number(t *testing.T, name string, def int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKillsLoseAndDoubleNothing kills Manager and homeserver in turn while calls
// come in, and then looks for each decision of the log in its room.
func TestKillsLoseAndDoubleNothing(t *testing.T) {
	skipUnlessE2E(t)
	homeservers(t, func(t *testing.T, hs *testenv.Homeserver) {
		w := newMatrixWorld(t, hs)
		kills, least := number(t, "KEYWARD_KILLS", 6), number(t, "KEYWARD_CALLS", 600)
		c := child{Store: filepath.Join(w.dir, "keyward.db")}
		for i := range 20 {
			c.Workers = append(c.Workers, fmt.Sprintf("worker-%d", i))
			w.worker(t, c.Workers[i])
		}
		c.Options.Homeserver, c.Options.User, c.Options.Secret = hs.URL, w.opt.User, hs.Secret
		c.Options.Session, c.Options.Admins = w.opt.Session, w.opt.Admins
		m := startChild(t, c)
		for _, worker := range c.Workers {
			w.placed(t, manager.RoomID(manager.RoomWorker, worker))
		}
		for i := range kills {
			w.shown(t, uint64(i+1)*20)
			if i%2 == 0 {
				m.Kill()
				c.Run++
				m = startChild(t, c)
			} else {
				hs.Kill()
				hs.Start(t)
			}
		}
		w.until(t, "enough calls", func(ctx context.Context) error {
			if n, err := w.LogSize(ctx); err != nil || n < uint64(least) {
				return fmt.Errorf("the log has %d entries: %v", n, err)
			}
			return nil
		})
		m.Kill() // no more calls
		stop := w.serve(t)
		w.settled(t)
		stop()
		lost, doubled, calls := w.compare(t, c.Workers)
		t.Logf("%d calls, %d kills, %d lost, %d doubled", calls, kills, lost, doubled)
		if lost != 0 || doubled != 0 || calls == 0 {
			t.Errorf("%d of %d calls are lost, %d doubled", lost, calls, doubled)
		}
	})
}

func startChild(t *testing.T, c child) *testenv.Process {
	t.Helper()
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return testenv.Start(t, testenv.Command{Path: self, Env: []string{childVariable + "=" + string(b)}})
}

// shown waits until some more entries were taken out of the outbox.
func (w *matrixWorld) shown(t *testing.T, least uint64) {
	t.Helper()
	w.until(t, "more is shown", func(ctx context.Context) error {
		posted, err := w.Posted(ctx)
		if err != nil {
			return err
		}
		n, _, err := w.Waiting(ctx)
		if err == nil && posted < least+uint64(n) {
			err = fmt.Errorf("%d of %d entries wait", n, posted)
		}
		return err
	})
}

// compare looks for each decision of the log in the room of its Worker.
func (w *matrixWorld) compare(t *testing.T, workers []string) (lost, doubled, calls int) {
	t.Helper()
	of := map[string][]string{}
	for from := uint64(0); ; {
		list, err := w.Log(t.Context(), from, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			if e.Record != nil {
				of[e.Record.Consumer] = append(of[e.Record.Consumer], e.Record.ID)
				calls++
			}
		}
		from = list[len(list)-1].Position + 1
	}
	for _, worker := range workers {
		tl := w.shows(t, w.placed(t, manager.RoomID(manager.RoomWorker, worker)), len(of[worker]))
		l, d := tl.Compare(of[worker])
		lost, doubled = lost+l, doubled+d
	}
	return lost, doubled, calls
}
