// Command audit measures the audit log: how fast records are stored and an export
// is verified, and whether every random change of one is found.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"keyward/manager/audit"
	"keyward/manager/audit/audittest"
	"keyward/manager/store"
	"keyward/policies"
)

// A result is what was measured. The file keeps what others put there.
type result struct {
	Records       int     `json:"records"`        // of the log that is verified
	StoreSQLite   float64 `json:"store_sqlite_s"` // records a second, in batches of 100
	Export        float64 `json:"export_s"`       // seconds
	Verify        float64 `json:"verify_1m_s"`    // seconds, for a million
	Mutations     int     `json:"mutations"`
	Found         int     `json:"found"`
	MutatedLength int     `json:"mutated_records"` // entries of the export that is changed
}

func main() {
	records := flag.Int("records", 1_000_000, "records of the log to verify")
	mutations := flag.Int("mutations", 10_000, "random changes to find")
	out := flag.String("json", "dist/audit.json", "`file` to write; what others wrote there stays")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *records, *mutations, *out); err != nil {
		fmt.Fprintln(os.Stderr, "audit:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, records, mutations int, out string) error {
	dir, err := os.MkdirTemp("", "keyward-bench-audit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := result{Records: records, Mutations: mutations, MutatedLength: 1000}
	if err := r.large(ctx, dir); err != nil {
		return err
	}
	if err := r.mutate(ctx, dir); err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", b)
	if r.Found != r.Mutations {
		err = fmt.Errorf("%d of %d changes were not found", r.Mutations-r.Found, r.Mutations)
	}
	return errors.Join(merge(out, b), err)
}

// An auditLog is a store with a keeper.
type auditLog struct {
	*store.Store
	*audit.Keeper
}

func open(ctx context.Context, path string) (*auditLog, error) {
	s, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return nil, err
	}
	private, public, err := audit.NewKey("keyward/bench")
	if err != nil {
		return nil, err
	}
	key, err := audit.ParseKey(private, public)
	if err != nil {
		return nil, err
	}
	k, err := audit.NewKeeper(s, key, audit.Options{})
	return &auditLog{s, k}, err
}

// fill stores n records in batches.
func (l *auditLog) fill(ctx context.Context, n, batch int, progress io.Writer) error {
	list := make([]policies.Record, 0, batch)
	for i := 1; i <= n; i++ {
		list = append(list, record(uint64(i)))
		if len(list) < batch && i < n {
			continue
		}
		if err := l.AppendRecords(ctx, "gateway-1", "vm-1", list); err != nil {
			return err
		}
		list = list[:0]
		if i%50_000 == 0 { // as the Manager does every few seconds
			if _, err := l.Checkpoint(ctx); err != nil {
				return err
			}
			fmt.Fprintf(progress, "%d of %d records stored\n", i, n)
		}
	}
	return nil
}

func record(n uint64) policies.Record {
	return policies.Record{
		Type: policies.RecordDecision, ID: fmt.Sprintf("01JDMX8Z5T3QJ5K8Q2V%07d", n), Time: time.Unix(1_790_000_000, int64(n)).UTC(), Sequence: n,
		Kind: policies.KindMCP, Consumer: fmt.Sprintf("worker-%d", n%20), Target: "github", Host: "gateway.local", Method: "tools/call",
		Name: "create_issue", Verdict: policies.Allow, Policy: "pol-01jdmx8z5t3qj5k8q2v7w9yb4c", Generation: 1234, Status: 200,
		RequestBytes: 300, ResponseBytes: 2000, Duration: 12 * time.Millisecond,
		Digest: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	}
}

// large measures a log of many records.
func (r *result) large(ctx context.Context, dir string) error {
	l, err := open(ctx, filepath.Join(dir, "large.db"))
	if err != nil {
		return err
	}
	defer l.Close()
	begin := time.Now()
	if err := l.fill(ctx, r.Records, 100, os.Stderr); err != nil {
		return err
	}
	r.StoreSQLite = float64(r.Records) / time.Since(begin).Seconds()
	path := filepath.Join(dir, "large.jsonl")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	begin = time.Now()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(l.Export(ctx, w), w.Flush(), f.Close()); err != nil {
		return err
	}
	r.Export = time.Since(begin).Seconds()
	f, err = os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	begin = time.Now()
	report, err := audit.Verify(f, audit.Trust{Key: l.PublicKey()}, nil)
	if err != nil {
		return err
	}
	if len(report.Findings) > 0 || report.Entries < uint64(r.Records) {
		return fmt.Errorf("an export that nobody changed: %+v", report)
	}
	r.Verify = time.Since(begin).Seconds() * 1e6 / float64(report.Entries)
	return nil
}

// mutate changes a smaller export again and again.
func (r *result) mutate(ctx context.Context, dir string) error {
	l, err := open(ctx, filepath.Join(dir, "small.db"))
	if err != nil {
		return err
	}
	defer l.Close()
	for n := 0; n < r.MutatedLength; n += 100 {
		var list []policies.Record
		for i := range uint64(100) {
			list = append(list, record(uint64(n)+i+1))
		}
		if err := l.AppendRecords(ctx, "gateway-1", "vm-1", list); err != nil {
			return err
		}
		if _, err := l.Checkpoint(ctx); err != nil {
			return err
		}
	}
	var export bytes.Buffer
	if err := l.Export(ctx, &export); err != nil {
		return err
	}
	var found atomic.Int64
	var wg sync.WaitGroup
	for worker := range runtime.NumCPU() {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 1))
			for n := worker; n < r.Mutations && ctx.Err() == nil; n += runtime.NumCPU() {
				b, _ := audittest.Tamper(random, export.Bytes())
				report, err := audit.Verify(bytes.NewReader(b), audit.Trust{Key: l.PublicKey()}, nil)
				if err != nil || len(report.Findings) > 0 {
					found.Add(1)
				}
			}
		})
	}
	wg.Wait()
	r.Found = int(found.Load())
	return ctx.Err()
}

// merge writes the members of b over those of the same name in a file.
func merge(path string, b []byte) error {
	all := map[string]json.RawMessage{}
	old, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(old, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	if b, err = json.Marshal(all); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
