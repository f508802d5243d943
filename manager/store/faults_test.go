package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

var errInjected = errors.New("injected fault")

// A failing driver is SQLite's, but for one statement, begin or commit, which
// fails instead of running.
type failing struct {
	driver.Driver
	left *atomic.Int64 // statements until the fault; negative: none
	act  func() error  // is the fault
}

func (f failing) Open(name string) (driver.Conn, error) {
	c, err := f.Driver.Open(name)
	return &failingConn{c, f.left, f.act}, err
}

type failingConn struct {
	driver.Conn
	left *atomic.Int64
	act  func() error
}

func (c *failingConn) fault() error {
	if c.left.Add(-1) == 0 {
		return c.act()
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

func (c *failingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	return failingStmt{s, c}, err
}

// CheckNamedValue lets values be what the driver takes, such as arrays.
func (c *failingConn) CheckNamedValue(v *driver.NamedValue) error {
	if inner, ok := c.Conn.(driver.NamedValueChecker); ok {
		return inner.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type failingStmt struct {
	driver.Stmt
	c *failingConn
}

func (s failingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.c.fault(); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

type failingTx struct {
	driver.Tx
	c *failingConn
}

func (t failingTx) Commit() error {
	if err := t.c.fault(); err != nil {
		return errors.Join(err, t.Rollback())
	}
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	if t.c.left.Load() == 1 { // after it, nothing can fail any more, but all can end
		if err := t.c.fault(); !errors.Is(err, errInjected) {
			return err
		}
	}
	return nil
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
	sql.Register(name, failing{plain.write.Driver(), left, func() error { return errInjected }})
	write, err := openSQLite(name, path, true)
	if err != nil {
		t.Fatal(err)
	}
	s = newStore(sqlite, write, plain.read, Options{})
	if err := s.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { write.Close() })
	return s, left
}

// dump is all that is in the store, row by row.
func dump(t *testing.T, s *Store) []string {
	t.Helper()
	var tables, lines []string
	list := `SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`
	if s.dialect == postgres {
		list = `SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename`
	}
	err := s.each(t.Context(), list, nil, func(rows *sql.Rows) error {
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

// TestAFullDiskLeavesNothing fills a file system of the store's own.
func TestAFullDiskLeavesNothing(t *testing.T) {
	dir := testenv.SmallDisk(t, 4<<20)
	s, err := Open(t.Context(), filepath.Join(dir, "keyward.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ballast := filepath.Join(dir, "ballast")
	fill := func() {
		t.Helper()
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for page := make([]byte, 4096); err == nil; {
			_, err = f.Write(page)
		}
	}
	generation := uint64(1)
	for round := range 3 {
		fill()
		var before []string
		for i := 0; ; i++ {
			if i == 1000 {
				t.Fatal("the disk never got full")
			}
			before = dump(t, s)
			gen, err := s.Mutate(t.Context(), Mutation{By: manager.Self}, func(tx *Tx) error {
				return everything(t.Context(), fmt.Sprintf("x%d-%d", round, i), tx)
			})
			if err != nil {
				break
			}
			generation = gen
		}
		if diff := cmp.Diff(before, dump(t, s)); diff != "" {
			t.Fatalf("a full disk left (-before +after):\n%s", diff)
		}
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("a store on a full disk can't be read: %v", err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		// There is room again: it goes on without a restart.
		gen, err := s.Mutate(t.Context(), Mutation{By: manager.Self}, func(tx *Tx) error {
			return everything(t.Context(), fmt.Sprintf("x%d-again", round), tx)
		})
		if err != nil || gen != generation+1 {
			t.Fatalf("after there was room again: generation %d after %d, %v", gen, generation, err)
		}
		generation = gen
	}
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	whole(t, s, generation, st.Consumers)
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
