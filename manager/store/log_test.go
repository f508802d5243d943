package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/policies"
)

// record is a decision with a sequence number.
func record(n uint64) policies.Record {
	return policies.Record{
		Type: policies.RecordDecision, ID: fmt.Sprintf("01J%d", n), Time: start.Add(time.Duration(n) * time.Microsecond), Sequence: n,
		Kind: policies.KindMCP, Consumer: "worker-a", Target: "github", Host: "gw", Method: "tools/call", Name: "create_issue",
		Verdict: policies.Deny, Reason: policies.DeniedByRule, Details: []string{"no"}, Rules: []string{"policy.rego:12"},
		Policy: "p1", Generation: 7, Status: 403, RequestBytes: 100, ResponseBytes: 200, Duration: time.Millisecond,
		Digest: "ab", Arguments: `{"title":"<x>"}`, Erased: []string{"/arguments/a"}, Masked: []string{"/arguments/b"},
	}
}

func records(from, to uint64) []policies.Record {
	var list []policies.Record
	for n := from; n <= to; n++ {
		list = append(list, record(n))
	}
	return list
}

func (f *fixture) append(t *testing.T, vm string, list []policies.Record) {
	t.Helper()
	if err := f.AppendRecords(t.Context(), "gw-1", vm, list); err != nil {
		t.Fatal(err)
	}
}

// logged returns the entries that came after the first, which every store has.
func (f *fixture) logged(t *testing.T) []manager.LogEntry {
	t.Helper()
	list, err := f.Log(t.Context(), 1, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range list {
		if e.Position != uint64(i)+1 || manager.LeafHash(e.Body) != e.Hash {
			t.Errorf("entry %d is at %d, hash right: %v", i+1, e.Position, manager.LeafHash(e.Body) == e.Hash)
		}
	}
	if size, err := f.LogSize(t.Context()); err != nil || size != uint64(len(list))+1 {
		t.Errorf("size = %d, %v, want %d", size, err, len(list)+1)
	}
	return list
}

// told says what entries are, in short.
func told(list []manager.LogEntry) []string {
	var s []string
	for _, e := range list {
		switch {
		case e.Record != nil:
			s = append(s, fmt.Sprintf("%s %d", e.VM, e.Record.Sequence))
		case e.Gap != nil:
			s = append(s, fmt.Sprintf("%s gap %d-%d", e.VM, e.Gap.First, e.Gap.Last))
		default:
			s = append(s, string(e.Kind))
		}
	}
	return s
}

func testRecordsOnce(t *testing.T, f *fixture) {
	f.append(t, "a", nil)
	f.append(t, "a", records(1, 3))
	f.append(t, "a", records(1, 3))
	f.append(t, "a", records(2, 5))
	f.append(t, "b", records(1, 600))
	got := f.logged(t)
	want := []string{"a 1", "a 2", "a 3", "a 4", "a 5"}
	if diff := cmp.Diff(want, told(got[:5])); diff != "" || len(got) != 605 {
		t.Errorf("%d entries (-want +got):\n%s", len(got), diff)
	}
	r := record(1)
	if diff := cmp.Diff(manager.Entry{Kind: manager.EntryDecision, Time: start, Gateway: "gw-1", VM: "a", Record: &r}, got[0].Entry); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	if got[0].Consumer() != "worker-a" {
		t.Errorf("consumer = %q", got[0].Consumer())
	}
	if err := f.AppendRecords(t.Context(), "gw-2", "a", records(1, 1)); err != nil {
		t.Fatal(err)
	}
	if n := len(f.logged(t)); n != 606 {
		t.Errorf("another gateway's VM of the same name: %d entries, want 606", n)
	}
}

func testGaps(t *testing.T, f *fixture) {
	f.append(t, "a", records(3, 4))
	f.append(t, "a", append(records(5, 5), records(9, 9)...))
	f.append(t, "a", append(records(2, 3), records(9, 10)...))
	f.append(t, "a", records(2, 2))
	want := []string{"a gap 1-2", "a 3", "a 4", "a 5", "a gap 6-8", "a 9", "a 2", "a 10"}
	if diff := cmp.Diff(want, told(f.logged(t))); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func testOneLog(t *testing.T, f *fixture) {
	var wg sync.WaitGroup
	for vm := range 4 {
		wg.Go(func() {
			for n := uint64(0); n < 20; n++ {
				if err := f.AppendRecords(t.Context(), "gw-1", fmt.Sprint(vm), records(5*n+1, 5*n+5)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			_, err := f.Mutate(t.Context(), alice, func(tx *store.Tx) error {
				_, err := tx.CreateConsumer(t.Context(), manager.ConsumerSpec{ID: fmt.Sprintf("w%d", i), Kind: "worker"})
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	last := map[string]uint64{}
	for _, e := range f.logged(t) {
		key, n := e.VM, uint64(0)
		if e.Record != nil {
			n = e.Record.Sequence
		} else {
			n = e.Event.Generation - 1
		}
		if n != last[key]+1 {
			t.Fatalf("entry %d is %q %d, after %d", e.Position, key, n, last[key])
		}
		last[key] = n
	}
	if diff := cmp.Diff(map[string]uint64{"": 20, "0": 100, "1": 100, "2": 100, "3": 100}, last); diff != "" {
		t.Errorf("last of each (-want +got):\n%s", diff)
	}
}

// Batches that are written together share no fault.
func testABadBatchIsNoOthersFault(t *testing.T, f *fixture) {
	const vms = 20
	errs := make([]error, vms)
	var wg sync.WaitGroup
	for vm := range vms {
		wg.Go(func() {
			list := records(1, 3)
			if vm%5 == 0 {
				list[1].Arguments = "{" // can't be written
			}
			errs[vm] = f.AppendRecords(t.Context(), "gw-1", fmt.Sprint(vm), list)
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, e := range f.logged(t) {
		count[e.VM]++
	}
	for vm, err := range errs {
		if want := 3; vm%5 == 0 {
			if err == nil || count[fmt.Sprint(vm)] != 0 {
				t.Errorf("bad batch %d: %v, %d entries", vm, err, count[fmt.Sprint(vm)])
			}
		} else if err != nil || count[fmt.Sprint(vm)] != want {
			t.Errorf("batch %d: %v, %d entries, want %d", vm, err, count[fmt.Sprint(vm)], want)
		}
	}
}

// Who does not wait takes nobody's turn away.
func testABatchOfWhoIsGone(t *testing.T, f *fixture) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		_ = f.AppendRecords(gone, "gw-1", "a", records(1, 1)) // stored or not
	}
	f.append(t, "a", records(1, 2))
	if got := f.logged(t); len(got) != 2 {
		t.Errorf("%d entries, want 2: %q", len(got), told(got))
	}
}

func testDamagedEntry(t *testing.T, f *fixture) {
	f.append(t, "a", records(1, 3))
	f.exec(t, `UPDATE log SET body = replace(body, 'worker-a', 'worker-b') WHERE position = 2`)
	f.exec(t, `UPDATE log SET body = '' WHERE position = 3`)
	got, err := f.Log(t.Context(), 1, 10)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	if got[0].Kind != manager.EntryDecision || got[1].Kind != manager.EntryDamaged || got[1].Record != nil || got[2].Kind != manager.EntryDropped {
		t.Errorf("kinds = %s, %s, %s", got[0].Kind, got[1].Kind, got[2].Kind)
	}
}

func testHostileRecords(t *testing.T, f *fixture) {
	r := record(1)
	r.Name, r.Method, r.Rules = "a\x00b\u2028<&>'\"\\", "\x1b[31m\u202e", []string{"x\x00:1"}
	f.append(t, "a", []policies.Record{r})
	got := f.logged(t)
	if diff := cmp.Diff(&r, got[0].Record); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func testLogged(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	other, err := store.Open(ctx, f.dsn, f.opt) // as another Manager
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	readers := []*store.Store{f.Store}
	if f.postgres() {
		readers = append(readers, other)
		first := other.Logged()
		listening := make(chan struct{})
		go func() {
			defer close(listening)
			other.Listen(ctx, func(err error) { t.Error(err) })
		}()
		defer func() { <-listening }()
		defer cancel()
		<-first // given once it listens
	}
	for i, act := range []func(){
		func() { f.append(t, "a", records(1, 1)) },
		func() {
			f.must(t, func(ctx context.Context, tx *store.Tx) error {
				_, err := tx.CreateConsumer(ctx, manager.ConsumerSpec{ID: "w", Kind: "worker"})
				return err
			})
		},
	} {
		woken := make([]<-chan struct{}, len(readers))
		for k, r := range readers {
			woken[k] = r.Logged()
		}
		act()
		for k, r := range readers {
			<-woken[k]
			if n, err := r.LogSize(ctx); err != nil || n != uint64(i)+2 {
				t.Errorf("reader %d woken at size %d, %v, want %d", k, n, err, i+2)
			}
		}
	}
}

func (f *fixture) postgres() bool { return strings.HasPrefix(f.dsn, "postgres:") }

// exec changes the database behind the store's back.
func (f *fixture) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	driver := "sqlite"
	if f.postgres() {
		driver = "pgx"
	}
	db, err := sql.Open(driver, f.dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}
