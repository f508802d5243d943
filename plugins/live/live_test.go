package live

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"keyward/plugins/filter/filtertest"
	"keyward/plugins/live/livetest"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

const (
	testToken = livetest.Token
	start     = int64(1_800_000_000_000_000_000)
)

func digestText(i int) string { return fmt.Sprintf("%064x", i) }

func digestOf(i int) [32]byte {
	d, _ := snapshot.Digest(digestText(i))
	return d
}

func consumer(i int, state snapshot.State) snapshot.Consumer {
	return snapshot.Consumer{
		ID: fmt.Sprintf("w%d", i), Kind: "worker", State: state,
		Tokens: []snapshot.Token{{ID: "t", SHA256: digestText(i)}},
		Grants: []snapshot.Grant{{Target: "code", Grant: policies.Grant{ID: "g", Tools: []string{"read"}}}},
	}
}

// whole is a snapshot with n consumers.
func whole(generation uint64, n int) *snapshot.Snapshot {
	s := &snapshot.Snapshot{
		Format: snapshot.Format, Epoch: "e1", Generation: generation,
		Policy:  &snapshot.Policy{Version: "v1", Program: []byte("program")},
		Targets: []snapshot.Target{{ID: "code", Kind: policies.KindMCP, Match: []snapshot.Match{{Path: "/mcp"}}}},
	}
	for i := range n {
		s.Consumers = append(s.Consumers, consumer(i, snapshot.Active))
	}
	return s
}

func entry(versions ...version) func([]byte) []byte {
	return func(b []byte) []byte { return appendEntry(b, versions) }
}

// write puts s into the shared data, in force at now.
func write(t *testing.T, shared *filtertest.Store, s *snapshot.Snapshot, life uint64, now int64) {
	t.Helper()
	w := begin(t, shared, s, life, now)
	if err := w.commit(s.Epoch); err != nil {
		t.Fatal(err)
	}
}

// begin writes s without putting it in force.
func begin(t *testing.T, shared *filtertest.Store, s *snapshot.Snapshot, life uint64, now int64) *writer {
	t.Helper()
	w, err := newWriter(newSpace(shared, testToken, snapshot.Everyone), s.Since == 0, life, s.Generation, now)
	if err != nil {
		t.Fatal(err)
	}
	page, err := snapshot.DecodePage(snapshot.Encode(s))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.add(page); err != nil {
		t.Fatal(err)
	}
	return w
}

func newReader(t *testing.T, shared *filtertest.Store) *Reader {
	return NewReader(shared, testToken, snapshot.Everyone, 15*time.Minute, func(line string) { t.Log(line) })
}

func mustView(t *testing.T, r *Reader, now int64) *View {
	t.Helper()
	v, reason, _ := r.View(now)
	if v == nil {
		t.Fatalf("no view: %s", reason)
	}
	return v
}

func stateOf(v *View, i int) string {
	c, _, ok := v.Consumer(digestOf(i))
	if !ok {
		return "unknown"
	}
	return string(c.State)
}

func suspend(since, generation uint64, i int) *snapshot.Snapshot {
	return &snapshot.Snapshot{
		Format: snapshot.Format, Epoch: "e1", Since: since, Generation: generation,
		Consumers: []snapshot.Consumer{consumer(i, snapshot.Suspended)},
	}
}

func TestADeltaIsSeenWholeOrNotAtAll(t *testing.T) {
	shared := &filtertest.Store{}
	r := newReader(t, shared)
	if _, reason, begun := r.View(start); reason != policies.NoSnapshot || begun {
		t.Fatalf("before anything was written: %q, begun %t", reason, begun)
	}
	write(t, shared, whole(1, 3), 100, start)
	if got := stateOf(mustView(t, r, start), 1); got != "active" {
		t.Fatalf("consumer is %s", got)
	}
	d := suspend(1, 2, 1)
	d.Removed = &snapshot.Removed{Consumers: []string{"w2"}}
	w := begin(t, shared, d, 0, start)
	for _, reader := range []*Reader{r, newReader(t, shared)} {
		v := mustView(t, reader, start)
		if v.Generation() != 1 || stateOf(v, 1) != "active" || stateOf(v, 2) != "active" {
			t.Errorf("half a delta shows: generation %d, %s, %s", v.Generation(), stateOf(v, 1), stateOf(v, 2))
		}
	}
	if err := w.commit("e1"); err != nil {
		t.Fatal(err)
	}
	for _, reader := range []*Reader{r, newReader(t, shared)} {
		v := mustView(t, reader, start)
		if v.Generation() != 2 || stateOf(v, 1) != "suspended" || stateOf(v, 2) != "unknown" || stateOf(v, 0) != "active" {
			t.Errorf("generation %d: %s, %s, %s", v.Generation(), stateOf(v, 0), stateOf(v, 1), stateOf(v, 2))
		}
	}
}

// A consumer that changes has a few dozen tokens, each of which would be read,
// verified and written in the callback that a revocation waits for.
func TestATokenThatAConsumerKeepsIsNotWrittenAgain(t *testing.T) {
	shared := &filtertest.Store{}
	write(t, shared, whole(1, 3), 100, start)
	key := newSpace(nil, testToken, snapshot.Everyone).prefix + kindToken + string(rawDigest(1))
	_, before, err := shared.Shared(key)
	if err != nil {
		t.Fatal(err)
	}
	d := suspend(1, 2, 1)
	d.Consumers[0].Tokens = append(d.Consumers[0].Tokens, snapshot.Token{ID: "new", SHA256: digestText(77)})
	write(t, shared, d, 0, start)
	if _, after, err := shared.Shared(key); err != nil || after != before {
		t.Errorf("the token was written again: version %d, before %d, %v", after, before, err)
	}
	v := mustView(t, newReader(t, shared), start)
	if stateOf(v, 1) != "suspended" || stateOf(v, 77) != "suspended" {
		t.Errorf("by its old token it is %s, by its new one %s", stateOf(v, 1), stateOf(v, 77))
	}
	// It moves to another consumer, and back: a token leads to who has it.
	for i, owner := range []int{2, 1} {
		g := uint64(3 + i)
		d := suspend(g-1, g, 3-owner)
		d.Consumers[0].Tokens = nil
		d.Consumers = append(d.Consumers, consumer(owner, snapshot.Active))
		d.Consumers[1].Tokens = []snapshot.Token{{ID: "t", SHA256: digestText(77)}}
		write(t, shared, d, 0, start)
		c, _, ok := mustView(t, newReader(t, shared), start).Consumer(digestOf(77))
		if !ok || c.ID != d.Consumers[1].ID {
			t.Errorf("the token does not lead to %s", d.Consumers[1].ID)
		}
	}
}

// gate and key-swap may have one vm_id: then they must not read each other's
// entries, of which each lacks what it does not use.
func TestAudiencesDoNotReadEachOther(t *testing.T) {
	shared := &filtertest.Store{}
	write(t, shared, whole(1, 1), 100, start)
	for _, a := range []snapshot.Audience{snapshot.ForGate, snapshot.ForKeySwap} {
		r := NewReader(shared, testToken, a, time.Minute, func(line string) { t.Log(line) })
		if v, reason, begun := r.View(start); v != nil || begun {
			t.Errorf("%s reads what was written for everyone: %s", a, reason)
		}
	}
}

func TestWhatAnInterruptedWriterLeftIsNeverRead(t *testing.T) {
	shared := &filtertest.Store{}
	write(t, shared, whole(1, 3), 100, start)
	begin(t, shared, suspend(1, 2, 1), 0, start) // and dies
	if _, err := newWriter(newSpace(shared, testToken, snapshot.Everyone), false, 0, 3, start); !errors.Is(err, errInterrupted) {
		t.Fatalf("a delta on top of half a delta: %v", err)
	}
	begin(t, shared, whole(2, 1), 200, start) // and dies, too
	write(t, shared, whole(3, 2), 300, start)
	v := mustView(t, newReader(t, shared), start)
	if v.Generation() != 3 || stateOf(v, 0) != "active" || stateOf(v, 1) != "active" || stateOf(v, 2) != "unknown" {
		t.Errorf("generation %d: %s, %s, %s", v.Generation(), stateOf(v, 0), stateOf(v, 1), stateOf(v, 2))
	}
}

func TestTwoWritersCantBothCommit(t *testing.T) {
	shared := &filtertest.Store{}
	write(t, shared, whole(1, 1), 100, start)
	a := begin(t, shared, whole(2, 1), 200, start)
	b := begin(t, shared, whole(3, 1), 300, start)
	if err := b.commit("e1"); err != nil {
		t.Fatal(err)
	}
	if err := a.commit("e1"); !errors.Is(err, errInterrupted) {
		t.Errorf("the second commit: %v", err)
	}
}

func TestAttacksOnTheSharedData(t *testing.T) {
	prefix := newSpace(nil, testToken, snapshot.Everyone).prefix
	tests := []struct {
		name   string
		attack func(t *testing.T, s *filtertest.Store)
		want   string // state of consumer 1, or the reason without a view
	}{
		{"nothing", func(*testing.T, *filtertest.Store) {}, "suspended"},
		{"an entry made up without the token", func(t *testing.T, s *filtertest.Store) {
			other := newSpace(s, "another token", snapshot.Everyone)
			other.prefix = prefix
			c := consumer(1, snapshot.Active)
			if err := other.put("cw1", 0, entry(version{point{100, 2}, snapshot.EncodeConsumer(&c)})); err != nil {
				t.Fatal(err)
			}
		}, "unknown"},
		{"an entry moved to another key", func(t *testing.T, s *filtertest.Store) {
			b, _, _ := s.Shared(prefix + "cw0")
			_ = s.Share(prefix+"cw1", b, 0)
		}, "unknown"},
		{"a token's digest led to another consumer", func(t *testing.T, s *filtertest.Store) {
			if err := newSpace(s, testToken, snapshot.Everyone).put(kindToken+string(rawDigest(1)), 0, entry(version{point{100, 1}, []byte("w0")})); err != nil {
				t.Fatal(err)
			}
		}, "unknown"},
		{"one bit of an entry turned", func(t *testing.T, s *filtertest.Store) {
			b, _, _ := s.Shared(prefix + "cw1")
			b[len(b)-1] ^= 1
			_ = s.Share(prefix+"cw1", b, 0)
		}, "unknown"},
		{"an entry cut short", func(t *testing.T, s *filtertest.Store) {
			b, _, _ := s.Shared(prefix + "cw1")
			_ = s.Share(prefix+"cw1", b[:20], 0)
		}, "unknown"},
		{"the state made up", func(t *testing.T, s *filtertest.Store) { _ = s.Share(prefix+"s", make([]byte, 80), 0) }, "no_snapshot"},
		{"the state emptied", func(t *testing.T, s *filtertest.Store) { _ = s.Share(prefix+"s", nil, 0) }, "no_snapshot"},
		{"the list of targets emptied", func(t *testing.T, s *filtertest.Store) { _ = s.Share(prefix+"i", nil, 0) }, "no_snapshot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shared := &filtertest.Store{}
			write(t, shared, whole(1, 2), 100, start)
			write(t, shared, suspend(1, 2, 1), 0, start)
			tt.attack(t, shared)
			v, reason, _ := newReader(t, shared).View(start)
			got := string(reason)
			if v != nil {
				got = stateOf(v, 1)
			}
			if got != tt.want {
				t.Errorf("consumer is %s, want %s", got, tt.want)
			}
		})
	}
}

func rawDigest(i int) []byte {
	d := digestOf(i)
	return d[:]
}

func TestAStatePutBackIsRefused(t *testing.T) {
	shared := &filtertest.Store{}
	write(t, shared, whole(1, 2), 100, start)
	key := newSpace(nil, testToken, snapshot.Everyone).prefix + kindState
	old, _, _ := shared.Shared(key)
	write(t, shared, suspend(1, 2, 1), 0, start)
	r := newReader(t, shared)
	mustView(t, r, start)
	if err := shared.Share(key, old, 0); err != nil {
		t.Fatal(err)
	}
	if v, reason, begun := r.View(start); v != nil || reason != policies.NoSnapshot || !begun {
		t.Errorf("view %v, reason %q, begun %t", v, reason, begun)
	}
	write(t, shared, whole(3, 2), 300, start+1e9)
	mustView(t, r, start+1e9)
}

func TestAfterMaxStaleNothingIsInForce(t *testing.T) {
	shared := &filtertest.Store{}
	write(t, shared, whole(1, 1), 100, start)
	r := newReader(t, shared)
	for _, tt := range []struct {
		after time.Duration
		want  policies.Reason
	}{
		{15 * time.Minute, policies.ReasonNone},
		{15*time.Minute + 1, policies.SnapshotStale},
		{-time.Hour, policies.SnapshotStale},
	} {
		if _, reason, _ := r.View(start + int64(tt.after)); reason != tt.want {
			t.Errorf("after %s: %q, want %q", tt.after, reason, tt.want)
		}
	}
}

func TestARequestLooksAtTheStateAlone(t *testing.T) {
	shared := &filtertest.Store{}
	write(t, shared, whole(1, 10), 100, start)
	r := newReader(t, shared)
	look := func() int {
		before := shared.Gets
		if got := stateOf(mustView(t, r, start), 3); got != "active" {
			t.Fatalf("consumer is %s", got)
		}
		return shared.Gets - before
	}
	look()
	if n := look(); n != 1 {
		t.Errorf("a request asked the host %d times, want once", n)
	}
	write(t, shared, suspend(1, 2, 5), 0, start)
	look()
	if n := look(); n != 1 {
		t.Errorf("a request asked the host %d times after a change, want once", n)
	}
}

func TestWhatAVMKeepsIsBounded(t *testing.T) {
	shared := &filtertest.Store{}
	const n = 3 * maxCached
	write(t, shared, whole(1, n), 100, start)
	r := newReader(t, shared)
	for i := range n {
		if got := stateOf(mustView(t, r, start), i); got != "active" {
			t.Fatalf("consumer %d is %s", i, got)
		}
	}
	if got := len(r.consumers.entries); got > maxCached || r.consumers.bytes > maxCachedBytes {
		t.Errorf("%d entries of %d bytes are kept", got, r.consumers.bytes)
	}
}

func TestAChangedTargetIsSeenAndAnUnchangedOneKept(t *testing.T) {
	shared := &filtertest.Store{}
	s := whole(1, 1)
	s.Targets = append(s.Targets, snapshot.Target{ID: "llm", Kind: policies.KindLLM, Match: []snapshot.Match{{Path: "/v1"}}})
	write(t, shared, s, 100, start)
	r := newReader(t, shared)
	v := mustView(t, r, start)
	code, _ := v.TargetByID("code")
	policy := v.Policy()
	write(t, shared, &snapshot.Snapshot{
		Format: snapshot.Format, Epoch: "e1", Since: 1, Generation: 2,
		Targets: []snapshot.Target{{ID: "new", Kind: policies.KindHTTP, Match: []snapshot.Match{{Path: "/v2"}}}},
		Removed: &snapshot.Removed{Targets: []string{"llm"}},
	}, 0, start)
	v = mustView(t, r, start)
	if _, ok := v.Target("", "h", "/v1/x"); ok {
		t.Error("the removed target is found")
	}
	if got, ok := v.Target("", "h", "/v2"); !ok || got.ID != "new" {
		t.Errorf("the new target: %v, %t", got, ok)
	}
	if again, _ := v.TargetByID("code"); again != code || v.Policy() != policy {
		t.Error("what did not change was read again")
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(entry(version{point{1, 2}, []byte("x")}, version{point{1, 3}, nil})(nil))
	f.Add([]byte{0})
	f.Add([]byte(strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		versions, ok := decodeEntry(b)
		if ok && string(appendEntry(nil, versions)) != string(b) {
			t.Errorf("%x is read as %v", b, versions)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add((&state{point: point{1, 2}, serial: 3, contact: start, epoch: "e"}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := decodeState(b)
		if ok && string(s.append(nil)) != string(b) {
			t.Errorf("%x is read as %v", b, s)
		}
	})
}
