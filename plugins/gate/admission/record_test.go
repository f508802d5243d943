package admission_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/record"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// take is the Manager's listener for records.
func (g *liveGate) take(t *testing.T, c filter.Call) (filter.Answer, bool) {
	if len(c.Headers) < 2 || c.Headers[1] != [2]string{":path", record.Path} {
		return filter.Answer{}, false
	}
	if g.down {
		return filter.Answer{Status: 503}, true
	}
	b, err := record.Decode(c.Body)
	if err != nil {
		t.Errorf("batch %s: %v", c.Body, err)
		return filter.Answer{Status: 400}, true
	}
	for _, r := range b.Records {
		if r.Sequence == g.refuse {
			return filter.Answer{Status: 400}, true
		}
	}
	g.records = append(g.records, b.Records...)
	return filter.Answer{Status: 204}, true
}

// audited is a gate in force whose target is recorded as a says.
func audited(t *testing.T, tok string, a *snapshot.Audit) *liveGate {
	t.Helper()
	g := newLiveGate(t)
	g.configure(t, nil)
	s := snapshotOf(t, tok)
	for i := range s.Targets {
		s.Targets[i].Audit = a
	}
	g.publish(t, s)
	return g
}

// told says what records tell, in short.
func told(list []policies.Record) []string {
	var s []string
	for _, r := range list {
		s = append(s, strings.TrimRight(strings.Join([]string{string(r.Type), r.Verdict.String(), r.Consumer, r.Name, string(r.Reason)}, " "), " "))
	}
	return s
}

func TestEveryRequestMakesOneRecord(t *testing.T) {
	tok := newToken(t, "k")
	g := audited(t, tok, nil)
	verdictOf(t, g, tok, "read")
	verdictOf(t, g, tok, "delete")
	verdictOf(t, g, newToken(t, "other"), "read")
	g.pass(200 * time.Millisecond)
	want := []string{"decision allow worker read", "decision deny worker delete not_granted", "decision deny  /mcp token_unknown"}
	if diff := cmp.Diff(want, told(g.records)); diff != "" {
		t.Fatalf("records (-want +got):\n%s", diff)
	}
	for i, r := range g.records {
		if r.Sequence != uint64(i)+1 || r.ID == "" || r.Time.IsZero() || r.Generation == 0 {
			t.Errorf("record %d = %+v", i, r)
		}
	}
	r := g.records[0]
	if r.Kind != policies.KindMCP || r.Target == "" || r.Method != "tools/call" || r.Policy == "" || r.Status != 200 || len(r.Digest) != 64 || r.Arguments != "" || r.RequestBytes == 0 {
		t.Errorf("record = %+v", r)
	}
	if len(r.Rules) == 0 || !strings.Contains(r.Rules[0], ".rego:") {
		t.Errorf("an allowed call was decided by rules %q", r.Rules)
	}
	if r := g.records[1]; r.Status != 200 { // a JSON-RPC error
		t.Errorf("record = %+v", r)
	}
	if r := g.records[2]; r.Status != 401 || r.Target == "" {
		t.Errorf("record = %+v", r)
	}
	g.pass(time.Second)
	if len(g.records) != 3 {
		t.Errorf("%d records, want 3", len(g.records))
	}
}

func TestRecordsWaitForTheManager(t *testing.T) {
	tok := newToken(t, "k")
	g := audited(t, tok, nil)
	g.down = true
	for range 10 {
		verdictOf(t, g, tok, "read")
		g.pass(300 * time.Millisecond)
	}
	g.down = false
	g.pass(10 * time.Second)
	if len(g.records) != 10 {
		t.Fatalf("%d records, want 10", len(g.records))
	}
	for i, r := range g.records {
		if r.Sequence != uint64(i)+1 {
			t.Errorf("record %d has number %d", i, r.Sequence)
		}
	}
}

func TestWithoutRoomForARecordARequestIsDenied(t *testing.T) {
	tok := newToken(t, "k")
	const room = 4096
	for _, lossy := range []bool{false, true} {
		g := audited(t, tok, &snapshot.Audit{Lossy: lossy})
		g.down = true
		for i := range room {
			if got := verdictOf(t, g, tok, "read"); got != policies.ReasonNone {
				t.Fatalf("call %d: %s", i, got)
			}
		}
		want := policies.AuditFull
		if lossy {
			want = policies.ReasonNone
		}
		if got := verdictOf(t, g, tok, "read"); got != want {
			t.Errorf("lossy %v, without room: %q, want %q", lossy, got, want)
		}
		g.down = false
		g.pass(20 * time.Second)
		if got := verdictOf(t, g, tok, "read"); got != policies.ReasonNone {
			t.Errorf("lossy %v, with room again: %q", lossy, got)
		}
		g.pass(time.Second)
		if last := g.records[len(g.records)-1]; len(g.records) != room+1 || last.Sequence != room+2 {
			t.Errorf("lossy %v: %d records, the last has number %d: the lost one is not missed", lossy, len(g.records), last.Sequence)
		}
	}
}

// Whoever has no token must not be able to take the room from those who have.
func TestAFloodOfRefusalsLeavesRoom(t *testing.T) {
	tok := newToken(t, "k")
	g := audited(t, tok, nil)
	g.down = true
	for range 5000 {
		verdictOf(t, g, newToken(t, "other"), "read")
	}
	if got := verdictOf(t, g, tok, "read"); got != policies.ReasonNone {
		t.Errorf("after a flood: %q", got)
	}
}

// held begins a call, which must not have been answered nor have gone on.
func (g *liveGate) held(t *testing.T, tok, tool string) (*filtertest.Stream, filter.Handler) {
	t.Helper()
	m := post(tok, call(tool))
	s := &eventStream{Stream: filtertest.NewStream(m.Headers...), answer: [][2]string{{":status", "200"}}}
	h := g.NewStream(s)
	s.body = strings.Join(m.Body, "")
	h.RequestHeaders(false)
	if h.RequestBody(len(s.body), true) != filter.Hold || len(s.Replies) != 0 {
		t.Fatalf("not held: %+v", s.Replies)
	}
	return s.Stream, h
}

func TestASyncRequestGoesOnOnceItsRecordIsStored(t *testing.T) {
	tok := newToken(t, "k")
	g := audited(t, tok, &snapshot.Audit{Sync: true})
	g.down = true
	open := func() (*filtertest.Stream, filter.Handler) { return g.held(t, tok, "read") }
	first, h := open()
	g.pass(time.Second)
	if len(first.Resumed) != 0 {
		t.Fatal("it went on before its record was stored")
	}
	gone, h2 := open()
	h2.Done()
	g.down = false
	g.pass(3 * time.Second)
	if len(first.Resumed) != 1 || len(first.Cuts) != 0 || len(gone.Resumed) != 0 {
		t.Errorf("resumed %d times, cut %d times", len(first.Resumed), len(first.Cuts))
	}
	h.Done()
	g.down = true
	late, h3 := open()
	g.pass(11 * time.Second)
	if len(late.Resumed) != 0 || len(late.Cuts) != 1 || late.Cuts[0].Status == 0 || !strings.Contains(string(late.Cuts[0].Body), string(policies.AuditFull)) {
		t.Errorf("resumed %d times, cut with %+v", len(late.Resumed), late.Cuts)
	}
	h3.Done()
	g.down = false
	g.pass(10 * time.Second)
	want := []string{
		"decision allow worker read", "decision allow worker read", "outcome allow worker read", "outcome allow worker read",
		"decision allow worker read", "cut deny worker read audit_unavailable", "outcome allow worker read",
	}
	if diff := cmp.Diff(want, told(g.records)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// A refusal too is told once its record is stored: what a client knows, the log
// has.
func TestASyncRefusalIsToldOnceItsRecordIsStored(t *testing.T) {
	tok := newToken(t, "k")
	g := audited(t, tok, &snapshot.Audit{Sync: true})
	g.down = true
	s, h := g.held(t, tok, "delete")
	g.down = false
	g.pass(3 * time.Second)
	if len(s.Resumed) != 0 || len(s.Cuts) != 1 || !strings.Contains(string(s.Cuts[0].Body), string(policies.NotGranted)) {
		t.Errorf("resumed %d times, answered %+v", len(s.Resumed), s.Cuts)
	}
	h.Done()
	// Nobody known: no stream is held for long.
	if got := verdictOf(t, g, newToken(t, "other"), "read"); got != policies.TokenUnknown {
		t.Errorf("a stranger hears %q", got)
	}
	g.pass(time.Second)
	want := []string{"decision deny worker delete not_granted", "decision deny  /mcp token_unknown"}
	if diff := cmp.Diff(want, told(g.records)); diff != "" || g.records[0].Status != 200 {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// A record that the Manager will not have is not stored, whatever comes after it.
func TestASyncRequestWhoseRecordIsRefusedDoesNotGoOn(t *testing.T) {
	tok := newToken(t, "k")
	g := audited(t, tok, &snapshot.Audit{Sync: true})
	g.refuse = 1
	bad, h := g.held(t, tok, "read")
	good, h2 := g.held(t, tok, "read")
	g.pass(time.Second)
	if len(bad.Resumed) != 0 || len(good.Resumed) != 1 {
		t.Errorf("resumed: refused %d times, stored %d times", len(bad.Resumed), len(good.Resumed))
	}
	g.pass(11 * time.Second)
	if len(bad.Cuts) != 1 || len(bad.Resumed) != 0 {
		t.Errorf("refused: resumed %d times, cut %d times", len(bad.Resumed), len(bad.Cuts))
	}
	h.Done()
	h2.Done()
}

func TestAnOpenStreamIsRecordedBeforeItsEnd(t *testing.T) {
	tok := newToken(t, "k")
	g := audited(t, tok, nil)
	_, h := g.begin(t, post(tok, call("read")), "text/event-stream")
	g.pass(3 * time.Second)
	if diff := cmp.Diff([]string{"decision allow worker read"}, told(g.records)); diff != "" {
		t.Errorf("records of an open stream (-want +got):\n%s", diff)
	}
	s := snapshotOf(t, tok)
	s.Generation++
	s.Consumers[0].State = snapshot.Suspended
	g.publish(t, s)
	g.pass(time.Second)
	h.Done()
	g.pass(time.Second)
	want := []string{"decision allow worker read", "cut deny worker read consumer_suspended", "outcome allow worker read"}
	if diff := cmp.Diff(want, told(g.records)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if g.records[1].Of != g.records[0].ID || g.records[2].ID != g.records[0].ID || g.records[1].ID == g.records[0].ID {
		t.Errorf("ids: %s, %s of %s, %s", g.records[0].ID, g.records[1].ID, g.records[1].Of, g.records[2].ID)
	}
}
