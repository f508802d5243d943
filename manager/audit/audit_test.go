package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"keyward/manager"
	"keyward/manager/audit"
	"keyward/manager/audit/audittest"
	"keyward/manager/store"
	"keyward/policies"
)

type fixture struct {
	*store.Store
	*audit.Keeper
	next uint64
}

func newFixture(t *testing.T) *fixture { return newFixtureOf(t, audittest.NewKey(t)) }

func newFixtureOf(t *testing.T, key *audit.Key) *fixture {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "keyward.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	k, err := audit.NewKeeper(s, key, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{Store: s, Keeper: k, next: 1}
}

// grow adds n records.
func (f *fixture) grow(t *testing.T, n int) {
	t.Helper()
	list := make([]policies.Record, n)
	for i := range list {
		list[i] = policies.Record{
			Type: policies.RecordDecision, ID: fmt.Sprintf("01J%d", f.next), Time: time.Unix(int64(f.next), 0).UTC(), Sequence: f.next,
			Kind: policies.KindMCP, Consumer: "worker-a", Target: "github", Method: "tools/call", Name: "create_issue", Verdict: policies.Allow,
			Arguments: `{"a":1}`,
		}
		f.next++
	}
	if err := f.AppendRecords(t.Context(), "gw-1", "vm-1", list); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) checkpoint(t *testing.T) manager.Checkpoint {
	t.Helper()
	c, err := f.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (f *fixture) export(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Export(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verify(t *testing.T, export []byte, trust audit.Trust) audit.Report {
	t.Helper()
	r, err := audit.Verify(bytes.NewReader(export), trust, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnExportVerifies(t *testing.T) {
	f := newFixture(t)
	var kept []string
	for _, n := range []int{1, 2, 60, 200, 300} {
		f.grow(t, n)
		kept = append(kept, f.checkpoint(t).Note)
	}
	if a, b := f.checkpoint(t), f.checkpoint(t); a != b {
		t.Errorf("a log that did not grow has two checkpoints: %+v, %+v", a, b)
	}
	r := verify(t, f.export(t), audit.Trust{Key: f.PublicKey(), Checkpoints: kept[:2]})
	if len(r.Findings) != 0 || r.Entries != 564 || r.Checkpoints != 7 {
		t.Errorf("report = %+v", r)
	}
}

func TestEveryCheckpointContinuesTheOneBefore(t *testing.T) {
	f := newFixture(t)
	var states []audit.State
	pub, err := audit.ParsePublicKey(f.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		f.grow(t, 111)
		s, err := audit.Open(f.checkpoint(t).Note, pub)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, s)
	}
	for i, old := range states {
		for _, now := range states[i:] {
			p, err := f.ProveGrowth(t.Context(), now.Size, old.Size)
			if err != nil {
				t.Fatal(err)
			}
			if err := tlog.CheckTree(p, int64(now.Size), now.Root, int64(old.Size), old.Root); err != nil {
				t.Errorf("%d to %d: %v", old.Size, now.Size, err)
			}
		}
	}
	last := states[len(states)-1]
	entries, err := f.Log(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		p, err := f.ProveEntry(t.Context(), last.Size, e.Position)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p, int64(last.Size), last.Root, int64(e.Position), manager.LeafHash(e.Body)); err != nil {
			t.Errorf("position %d: %v", e.Position, err)
		}
	}
}

func TestAnyChangeOfAnExportIsFound(t *testing.T) {
	f := newFixture(t)
	for range 4 {
		f.grow(t, 15)
		f.checkpoint(t)
	}
	export, trust := f.export(t), audit.Trust{Key: f.PublicKey()}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		b, what := audittest.Tamper(random, export)
		if r, err := audit.Verify(bytes.NewReader(b), trust, nil); err == nil && len(r.Findings) == 0 {
			t.Fatalf("%s was not found:\n%s", what, b)
		}
	}
	small := newFixture(t)
	small.grow(t, 4)
	export, trust = small.export(t), audit.Trust{Key: small.PublicKey()}
	for i := range export { // each byte, once
		b := bytes.Clone(export)
		b[i] ^= 1
		if r, err := audit.Verify(bytes.NewReader(b), trust, nil); err == nil && len(r.Findings) == 0 {
			t.Fatalf("byte %d changed and nothing was found", i)
		}
	}
}

// The findings name the place.
func TestFindingsNameThePosition(t *testing.T) {
	f := newFixture(t)
	f.grow(t, 9)
	room := f.checkpoint(t).Note
	f.grow(t, 10)
	export := f.export(t)
	lines := strings.SplitAfter(string(export), "\n") // the header, 20 entries, ""
	join := func(lines ...[]string) string {
		var b strings.Builder
		for _, l := range lines {
			b.WriteString(strings.Join(l, ""))
		}
		return b.String()
	}
	other := newFixture(t)
	other.grow(t, 19)
	for name, tt := range map[string]struct {
		export string
		trust  audit.Trust
		want   string
	}{
		"edited":     {strings.Replace(string(export), `"01J5"`, `"01J6"`, 1), audit.Trust{}, "position 5: the entry is not what was written"},
		"dropped":    {join(lines[:6], lines[7:]), audit.Trust{}, "position 5: missing"},
		"swapped":    {join(lines[:6], lines[7:8], lines[6:7], lines[8:]), audit.Trust{}, "position 5: out of place: found where position 7 belongs"},
		"truncated":  {join(lines[:16]), audit.Trust{}, "positions 15 to 19: missing at the end"},
		"text taken": {join(lines[:6], []string{lines[6][:strings.Index(lines[6], `,"entry"`)] + "}\n"}, lines[7:]), audit.Trust{}, "positions 0 to 5: text is missing that no action log.drop took away"},
		"signed by another": {
			string(other.export(t)), audit.Trust{Key: f.PublicKey()}, "position 0: the export names another key than the trusted one",
		},
		"contradicts the room": {
			string(other.export(t)), audit.Trust{Checkpoints: []string{room}}, "position 0: checkpoint 1 from elsewhere is not signed with key keyward.example/log",
		},
	} {
		r := verify(t, []byte(tt.export), tt.trust)
		found := false
		for _, x := range r.Findings {
			found = found || x.String() == tt.want
		}
		if !found {
			t.Errorf("%s: findings %v, want %q", name, r.Findings, tt.want)
		}
	}
}

// An attacker has the database and the key, and makes all of the log anew. What
// the room keeps tells.
func TestARewrittenLogContradictsTheRoom(t *testing.T) {
	key := audittest.NewKey(t)
	f := newFixtureOf(t, key)
	f.grow(t, 9)
	middle := f.checkpoint(t).Note
	f.grow(t, 10)
	room := f.checkpoint(t).Note
	rewritten := newFixtureOf(t, key)
	rewritten.grow(t, 14)
	r := verify(t, rewritten.export(t), audit.Trust{Key: f.PublicKey(), Checkpoints: []string{room, middle}})
	if len(r.Findings) < 2 {
		t.Fatalf("findings = %v", r.Findings)
	}
	for i, want := range []string{
		"positions 0 to 9: not what was signed in a checkpoint from elsewhere",
		"positions 15 to 19: missing: a checkpoint from elsewhere covers more than the export",
	} {
		if r.Findings[i].String() != want {
			t.Errorf("finding %d = %q, want %q", i, r.Findings[i], want)
		}
	}
}

func TestDroppedTextStaysProvable(t *testing.T) {
	f := newFixture(t)
	f.grow(t, 9)
	before := f.checkpoint(t).Note
	f.grow(t, 10)
	_, err := f.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error { return tx.DropBodies(t.Context(), 12) })
	if err != nil {
		t.Fatal(err)
	}
	export := f.export(t)
	if bytes.Contains(export, []byte(`"01J3"`)) || !bytes.Contains(export, []byte(`"01J12"`)) || !bytes.Contains(export, []byte(`store.create`)) {
		t.Errorf("the wrong text was dropped:\n%s", export)
	}
	r := verify(t, export, audit.Trust{Key: f.PublicKey(), Checkpoints: []string{before}})
	if len(r.Findings) != 0 || r.Dropped != 11 || r.Entries != 21 {
		t.Errorf("report = %+v", r)
	}
	for _, position := range []uint64{0, 22} {
		_, err := f.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error { return tx.DropBodies(t.Context(), position) })
		if err == nil {
			t.Errorf("dropped before %d, of 21", position)
		}
	}
}

func TestARewrittenStoreIsNotSigned(t *testing.T) {
	key := audittest.NewKey(t)
	f := newFixtureOf(t, key)
	f.grow(t, 9)
	signed := f.checkpoint(t)
	for _, size := range []int{5, 9, 12} {
		other := newFixtureOf(t, key) // its epoch differs, and so its first entry
		other.grow(t, size)
		if err := other.SaveCheckpoint(t.Context(), signed, nil); err != nil {
			t.Fatal(err)
		}
		if c, err := other.Checkpoint(t.Context()); !errors.Is(err, audit.ErrRewritten) {
			t.Errorf("%d entries: signed %+v, %v", size, c, err)
		}
	}
}

func TestAKeyIsOneOfALog(t *testing.T) {
	private, public, err := audit.NewKey("a")
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := audit.NewKey("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]string{{private, other}, {public, public}, {"", ""}, {private, "x"}, {"x", public}} {
		if _, err := audit.ParseKey(pair[0], pair[1]); err == nil {
			t.Errorf("%q was read", pair[1])
		} else if strings.Contains(err.Error(), private) {
			t.Error("the error shows the key")
		}
	}
}
