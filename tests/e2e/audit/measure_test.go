package audit_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyward/manager/audit"
	"keyward/manager/audit/audittest"
	"keyward/manager/store"
	"keyward/policies"
	"keyward/tests/testenv"
)

// A measurement is what dist/audit.json holds of the log itself.
type measurement struct {
	Records       int     `json:"records"`          // of the log that is verified
	SQLite        float64 `json:"store_sqlite_s"`   // records a second, of eight VMs at once in batches of 100
	SQLiteOne     float64 `json:"store_sqlite_1_s"` // of one VM
	Postgres      float64 `json:"store_postgres_s"`
	PostgresOne   float64 `json:"store_postgres_1_s"`
	Export        float64 `json:"export_s"`    // seconds
	Verify        float64 `json:"verify_1m_s"` // seconds, for a million entries
	Mutations     int     `json:"mutations"`
	Found         int     `json:"found"`
	MutatedLength int     `json:"mutated_records"` // entries of the export that is changed
}

// TestMeasure measures the log: RECORDS of it, and MUTATIONS of an export.
func TestMeasure(t *testing.T) {
	skipUnlessE2E(t)
	m := measurement{Records: testenv.Number(t, "RECORDS", 20_000), Mutations: testenv.Number(t, "MUTATIONS", 500), MutatedLength: 1000}
	large := openLog(t, filepath.Join(t.TempDir(), "keyward.db"))
	m.SQLite, m.SQLiteOne = large.rates(t, "SQLite", m.Records)
	some := openLog(t, testenv.NeedPostgreSQL(t).Database(t))
	m.Postgres, m.PostgresOne = some.rates(t, "PostgreSQL", min(m.Records, 200_000))
	m.verify(t, large)
	t.Logf("%d entries exported in %.1f s and verified, a million in %.1f s", m.Records, m.Export, m.Verify)
	m.mutate(t)
	t.Logf("%+v", m)
	if m.Found != m.Mutations {
		t.Errorf("%d of %d changes were not found", m.Mutations-m.Found, m.Mutations)
	}
	keep(t, m)
}

// An auditLog is a store with a keeper.
type auditLog struct {
	*store.Store
	*audit.Keeper
}

func openLog(t *testing.T, dsn string) *auditLog {
	t.Helper()
	s, err := store.Open(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &auditLog{s, audittest.NewKeeper(t, s)}
}

// rates stores n records, most of them from eight VMs at once and a tenth from one,
// with checkpoints as the Manager makes them, and returns records a second.
func (l *auditLog) rates(t *testing.T, name string, n int) (many, one float64) {
	t.Helper()
	t.Logf("storing %d records in %s", n, name)
	done := make(chan struct{})
	go func() { defer close(done); l.Run(t.Context()) }() // ends with the test
	const vms = 8
	fill := func(vm string, n int) error {
		list := make([]policies.Record, 0, 100)
		for i := 1; i <= n; i++ {
			if list = append(list, decision(uint64(i))); len(list) < cap(list) && i < n {
				continue
			}
			if err := l.AppendRecords(t.Context(), "gateway-1", vm, list); err != nil {
				return err
			}
			list = list[:0]
		}
		return nil
	}
	began := time.Now()
	if err := fill("one", n/10); err != nil {
		t.Fatal(err)
	}
	one = float64(n/10) / time.Since(began).Seconds()
	began = time.Now()
	var wg sync.WaitGroup
	for vm := range vms {
		wg.Go(func() {
			if err := fill(fmt.Sprint(vm), (n-n/10)/vms); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	many = float64(n-n/10) / time.Since(began).Seconds()
	t.Logf("%s: %.0f records a second of %d VMs at once, %.0f of one", name, many, vms, one)
	return many, one
}

func decision(n uint64) policies.Record {
	return policies.Record{
		Type: policies.RecordDecision, ID: fmt.Sprintf("01JDMX8Z5T3QJ5K8Q2V%07d", n), Time: time.Unix(1_790_000_000, int64(n)).UTC(), Sequence: n,
		Kind: policies.KindMCP, Consumer: fmt.Sprintf("worker-%d", n%20), Target: "github", Host: "gateway.local", Method: "tools/call",
		Name: "create_issue", Verdict: policies.Allow, Policy: "pol-01jdmx8z5t3qj5k8q2v7w9yb4c", Generation: 1234, Status: 200,
		RequestBytes: 300, ResponseBytes: 2000, Duration: 12 * time.Millisecond,
		Digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	}
}

// verify measures an export of the whole log, and its verification.
func (m *measurement) verify(t *testing.T, l *auditLog) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // it was flushed and read
	began := time.Now()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(l.Export(t.Context(), w), w.Flush()); err != nil {
		t.Fatal(err)
	}
	m.Export = time.Since(began).Seconds()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	report, err := audit.Verify(f, audit.Trust{Key: l.PublicKey()}, nil)
	if err != nil || len(report.Findings) > 0 || report.Entries < uint64(m.Records)-8 {
		t.Fatalf("an export that nobody changed: %+v, %v", report, err)
	}
	m.Verify = time.Since(began).Seconds() * 1e6 / float64(report.Entries)
}

// mutate changes a smaller export again and again.
func (m *measurement) mutate(t *testing.T) {
	t.Helper()
	l := openLog(t, filepath.Join(t.TempDir(), "small.db"))
	for n := 0; n < m.MutatedLength; n += 100 {
		var list []policies.Record
		for i := range uint64(100) {
			list = append(list, decision(uint64(n)+i+1))
		}
		if err := l.AppendRecords(t.Context(), "gateway-1", "vm-1", list); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var export bytes.Buffer
	if err := l.Export(t.Context(), &export); err != nil {
		t.Fatal(err)
	}
	var found atomic.Int64
	var wg sync.WaitGroup
	for worker := range runtime.NumCPU() {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for n := worker; n < m.Mutations; n += runtime.NumCPU() {
				b, what := audittest.Tamper(random, export.Bytes())
				report, err := audit.Verify(bytes.NewReader(b), audit.Trust{Key: l.PublicKey()}, nil)
				if err != nil || len(report.Findings) > 0 {
					if n := found.Add(1); n%1000 == 0 {
						t.Logf("%d of %d changes found", n, m.Mutations)
					}
				} else {
					t.Errorf("change %d of worker %d, %s, was not found", n, worker, what)
				}
			}
		})
	}
	wg.Wait()
	m.Found = int(found.Load())
}
