package store

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/plugins/snapshot"
	"keyward/tests/testenv"
)

// What a process that is to be killed is told: its database, and before which
// statement of its mutation it kills itself; without that it goes on until it is
// killed.
const (
	killedStore = "KEYWARD_TEST_KILLED_STORE"
	killedAt    = "KEYWARD_TEST_KILLED_AT"
)

func TestMain(m *testing.M) {
	dsn, at := os.Getenv(killedStore), os.Getenv(killedAt)
	switch {
	case dsn == "":
		os.Exit(m.Run())
	case at == "":
		mutateForever(dsn)
	default:
		mutateUntil(dsn, at)
	}
}

// mutateUntil makes one mutation, and does not come to its end.
func mutateUntil(dsn, at string) {
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		panic(err)
	}
	d, write, read, err := connect(dsn)
	if err != nil {
		panic(err)
	}
	left := new(atomic.Int64)
	left.Store(n)
	sql.Register("killing", failing{write.Driver(), left, func() error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}})
	if d == postgres {
		write, err = sql.Open("killing", dsn)
	} else {
		write, err = openSQLite("killing", dsn, true)
	}
	if err != nil {
		panic(err)
	}
	s := newStore(d, write, read, Options{})
	ctx := context.Background()
	if err := s.prepare(ctx); err != nil {
		panic(err)
	}
	_, err = s.Mutate(ctx, Mutation{By: manager.Self}, func(tx *Tx) error { return everything(ctx, "x", tx) })
	fmt.Println("it was not killed:", err)
}

// TestAKillAtAnyStatementLeavesAllOrNothing kills a process before each statement
// of a large mutation, before its commit, and after it.
func TestAKillAtAnyStatementLeavesAllOrNothing(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		killAtEach(t, filepath.Join(t.TempDir(), "keyward.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		killAtEach(t, testenv.NeedPostgreSQL(t).Database(t))
	})
}

func killAtEach(t *testing.T, dsn string) {
	s, err := Open(t.Context(), dsn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	before := dump(t, s)
	for n := 1; ; n++ {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), killedStore+"="+dsn, killedAt+"="+strconv.Itoa(n))
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("kill at statement %d: %v\n%s", n, err, out)
		}
		st, err := s.Generation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.Generation == 1 {
			if diff := cmp.Diff(before, dump(t, s)); diff != "" {
				t.Fatalf("a kill at statement %d left (-before +after):\n%s", n, diff)
			}
			continue
		}
		// It was committed: all of it is there, though nobody was answered.
		if n < 30 {
			t.Errorf("the mutation was committed at statement %d", n)
		}
		break
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), dsn, Options{}); err != nil {
		t.Fatalf("open after the kills: %v", err)
	}
	whole(t, s, 2, 1)
}

// whole checks that state, generation and log agree.
func whole(t *testing.T, s *Store, generation uint64, consumers int64) {
	t.Helper()
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := s.Log(t.Context(), 0, 1<<20)
	generations, created := map[uint64]bool{}, int64(0)
	for _, e := range entries {
		generations[e.Event.Generation] = true
		if e.Event.Action == "consumer.create" {
			created++
		}
	}
	if err != nil || st.Generation != generation || uint64(len(generations)) != generation || created != consumers || st.Consumers != consumers {
		t.Errorf("generation %d with %d in the log, want %d; %d consumers with %d in the log, want %d; %v",
			st.Generation, len(generations), generation, st.Consumers, created, consumers, err)
	}
	w, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.NewView(&w); err != nil {
		t.Errorf("the snapshot: %v", err)
	}
}

// mutateForever says each generation that was committed.
func mutateForever(path string) {
	ctx := context.Background()
	s, err := Open(ctx, path, Options{})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	for {
		gen, err := s.Mutate(ctx, Mutation{By: manager.Self}, func(tx *Tx) error {
			return everything(ctx, fmt.Sprintf("x%d", tx.gen), tx)
		})
		if err != nil {
			fmt.Println("mutate:", err)
			os.Exit(1)
		}
		fmt.Println(gen)
	}
}

func TestAKilledManagerLosesNothingThatItAnswered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyward.db")
	for round := range 4 {
		answered := killed(t, path, 3+2*round)
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		st, err := s.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.Generation < answered {
			t.Errorf("generation %d was answered, the store has %d", answered, st.Generation)
		}
		whole(t, s, st.Generation, st.Consumers)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killed runs a process that makes changes, kills it after some answers and a
// little more, and returns the last generation that it answered.
func killed(t *testing.T, path string, answers int) (last uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedStore+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
			t.Errorf("the process said %q", strings.TrimSpace(lines.Text()))
		}
		if n == answers {
			time.AfterFunc(time.Duration(answers)*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // it was killed
	return last
}
