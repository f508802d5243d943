package store

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

var errInjected = errors.New("injected fault")

// A failing driver is SQLite's, but for one statement, begin or commit, which
// fails instead of running.
type failing struct {
	driver.Driver
	left *atomic.Int64 // statements until the fault; negative: none
}

func (f failing) Open(name string) (driver.Conn, error) {
	c, err := f.Driver.Open(name)
	return &failingConn{c, f.left}, err
}

type failingConn struct {
	driver.Conn
	left *atomic.Int64
}

func (c *failingConn) fault() error {
	if c.left.Add(-1) == 0 {
		return errInjected
	}
	return nil
}

func (c *failingConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.fault(); err != nil {
		return nil, err
	}
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	return failingTx{tx, c}, err
}

func (c *failingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.fault(); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *failingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.fault(); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

type failingTx struct {
	driver.Tx
	c *failingConn
}

func (t failingTx) Commit() error {
	if err := t.c.fault(); err != nil {
		return errors.Join(err, t.Rollback())
	}
	return t.Tx.Commit()
}

// newFailing returns a store whose writes fail once left has counted down.
func newFailing(t *testing.T) (s *Store, left *atomic.Int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyward.db")
	plain, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	left = new(atomic.Int64)
	left.Store(-1)
	name := "failing-" + t.Name()
	sql.Register(name, failing{plain.write.Driver(), left})
	write, err := openSQLite(name, path, true)
	if err != nil {
		t.Fatal(err)
	}
	s = newStore(sqlite, write, plain.read, Options{})
	t.Cleanup(func() { write.Close() })
	return s, left
}

// dump is all that is in the store, row by row.
func dump(t *testing.T, s *Store) []string {
	t.Helper()
	var tables, lines []string
	err := s.each(t.Context(), `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`, nil, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		tables = append(tables, name)
		return err
	})
	for _, table := range tables {
		err = errors.Join(err, s.each(t.Context(), "SELECT * FROM "+table, nil, func(rows *sql.Rows) error {
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			row := make([]any, len(columns))
			for i := range row {
				row[i] = new(any)
			}
			err = rows.Scan(row...)
			line := table
			for _, v := range row {
				line += fmt.Sprintf("|%v", *v.(*any))
			}
			lines = append(lines, line)
			return err
		}))
	}
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// everything makes one of each noun, and changes most of them.
func everything(ctx context.Context, id string, t *Tx) error {
	sealed := manager.CredentialSealed{
		Upstream: snapshot.Upstream{Hosts: []string{"h"}}, Sealed: []snapshot.Sealed{{Key: "k", Data: []byte("x")}},
	}
	steps := []func() error{
		func() error {
			_, err := t.CreateConsumer(ctx, manager.ConsumerSpec{ID: id, Kind: "worker"})
			return err
		},
		func() error {
			_, err := t.CreateCredential(ctx, manager.CredentialSpec{ID: id, CredentialSealed: sealed})
			return err
		},
		func() error {
			_, err := t.CreateTarget(ctx, manager.NewTarget{ID: id, TargetSpec: manager.TargetSpec{
				Kind: policies.KindMCP, Match: []snapshot.Match{{Path: "/" + id}}, Upstream: sealed.Upstream,
				Credential: id, Inject: &snapshot.Inject{Form: snapshot.Bearer},
			}})
			return err
		},
		func() error { _, err := t.SetOverride(ctx, id, 0, id, id); return err },
		func() error {
			_, err := t.CreateGrant(ctx, manager.NewGrant{Consumer: id, Target: id})
			return err
		},
		func() error {
			i, err := t.IssueToken(ctx, manager.TokenSpec{Consumer: id})
			if err != nil {
				return err
			}
			_, err = t.RotateToken(ctx, i.Object.ID, 0, manager.TokenRotation{OverlapSeconds: 60})
			return err
		},
		func() error {
			p, err := t.CreatePolicy(ctx, manager.PolicySpec{PolicySource: manager.PolicySource{Modules: map[string]string{"p.rego": id}}})
			if err != nil {
				return err
			}
			_, err = t.PublishPolicy(ctx, p.ID, 0, []byte{1})
			return err
		},
		func() error {
			_, err := t.RotateCredential(ctx, id, 0, manager.CredentialRotation{Number: 2, CredentialSealed: sealed, OverlapSeconds: 60})
			return err
		},
		func() error { return t.DeleteTarget(ctx, id, 0) },
		func() error { return t.KeepAnswer(ctx, Answer{ID: id, Fingerprint: "f", Sealed: []byte{1}}) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestAFaultAtAnyStatementLeavesNothing(t *testing.T) {
	s, left := newFailing(t)
	before := dump(t, s)
	for n := int64(1); ; n++ {
		left.Store(n)
		gen, err := s.Mutate(t.Context(), Mutation{By: manager.Self}, func(tx *Tx) error { return everything(t.Context(), "x", tx) })
		if err == nil {
			if n < 30 || gen != 2 {
				t.Errorf("the mutation went through at statement %d as generation %d: the fault did not reach it", n, gen)
			}
			break
		}
		if !errors.Is(err, errInjected) {
			t.Fatalf("fault at statement %d: %v", n, err)
		}
		if diff := cmp.Diff(before, dump(t, s)); diff != "" {
			t.Fatalf("a fault at statement %d left (-before +after):\n%s", n, diff)
		}
	}
	if w, err := s.Snapshot(t.Context()); err != nil || len(w.Consumers) != 1 || w.Generation != 2 {
		t.Errorf("after all the faults the store has %+v, %v", w, err)
	}
}

func TestAFullDiskLeavesNothing(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var pages int
	if err := s.write.QueryRowContext(t.Context(), `PRAGMA page_count`).Scan(&pages); err != nil {
		t.Fatal(err)
	}
	full := fmt.Sprintf(`PRAGMA max_page_count = %d`, pages+2)
	if _, err := s.write.ExecContext(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if i == 1000 {
			t.Fatal("the disk never got full")
		}
		before := dump(t, s)
		_, err := s.Mutate(t.Context(), Mutation{By: manager.Self}, func(tx *Tx) error { return everything(t.Context(), fmt.Sprint("x", i), tx) })
		if err != nil {
			if diff := cmp.Diff(before, dump(t, s)); diff != "" {
				t.Errorf("a full disk left (-before +after):\n%s", diff)
			}
			break
		}
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("a store on a full disk can't be read: %v", err)
	}
}

func TestAChangeWithoutAnEventIsRefused(t *testing.T) {
	s, _ := newFailing(t)
	_, err := s.Mutate(t.Context(), Mutation{By: manager.Self}, func(tx *Tx) error {
		return tx.touch(t.Context(), entryConsumer, "x", false)
	})
	if !errors.Is(err, errUnrecorded) {
		t.Errorf("error = %v, want %v", err, errUnrecorded)
	}
}

// killedStore names the database of a process that is to be killed.
const killedStore = "KEYWARD_TEST_KILLED_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(killedStore); path != "" {
		mutateForever(path)
	}
	os.Exit(m.Run())
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
		entries, err := s.Log(t.Context(), 0, 1<<20)
		generations, consumers := map[uint64]bool{}, int64(0)
		for _, e := range entries {
			generations[e.Event.Generation] = true
			if e.Event.Action == "consumer.create" {
				consumers++
			}
		}
		if err != nil || uint64(len(generations)) != st.Generation || consumers != st.Consumers {
			t.Errorf("%d generations in the audit log and %d in the store; %d consumers were created and %d are there; %v",
				len(generations), st.Generation, consumers, st.Consumers, err)
		}
		w, err := s.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := snapshot.NewView(&w); err != nil {
			t.Errorf("the snapshot after a kill: %v", err)
		}
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
