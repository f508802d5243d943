package admission_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/gate/admission"
	"keyward/plugins/live"
	"keyward/plugins/live/livetest"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// A liveGate is a gate that follows a Manager.
type liveGate struct {
	filter.Plugin
	*livetest.Manager
	host    *filtertest.LiveHost
	records []policies.Record // that the Manager took
	down    bool              // the Manager takes no records
	refuse  uint64            // sequence number of one that it refuses; 0: none
}

// newLiveGate is not configured yet.
func newLiveGate(t *testing.T) *liveGate {
	t.Helper()
	host := &filtertest.LiveHost{
		Host:  filtertest.Host{Time: now * 1e9, Env: map[string]string{live.EnvToken: livetest.Token}},
		Store: &filtertest.Store{},
	}
	g := &liveGate{Plugin: admission.New(host), Manager: livetest.New(t), host: host}
	host.Serve = func(c filter.Call) (filter.Answer, bool) { return g.take(t, c) }
	return g
}

func (g *liveGate) configure(t *testing.T, s *snapshot.Snapshot) {
	t.Helper()
	if err := g.Configure(g.Config(s, 60)); err != nil {
		t.Fatal(err)
	}
	if g.host.Period == 0 {
		t.Fatal("the gate does not tick")
	}
}

// pass lets time go by.
func (g *liveGate) pass(d time.Duration) {
	for end := g.host.Time + int64(d); g.host.Time < end; {
		g.host.Time += int64(g.host.Period)
		g.Plugin.(filter.Background).Tick()
	}
}

// publish lets the gate hear of s.
func (g *liveGate) publish(t *testing.T, s *snapshot.Snapshot) {
	t.Helper()
	if len(g.host.Calls) == 0 {
		g.pass(time.Second)
	}
	g.Publish(t, g.host, s)
}

// verdict is the reason of a refusal, "" for none.
func verdictOf(t *testing.T, p filter.Plugin, tok, tool string) policies.Reason {
	t.Helper()
	r := filtertest.Run(p, filtertest.Exchange{Request: post(tok, call(tool))})
	if len(r.Faults) > 0 {
		t.Fatalf("faults: %q", r.Faults)
	}
	if r.Upstream != nil {
		return policies.ReasonNone
	}
	_, rest, _ := strings.Cut(r.Client.Text(), `"reason":"`)
	reason, _, _ := strings.Cut(rest, `"`)
	return policies.Reason(reason)
}

func TestAGateFollowsTheManager(t *testing.T) {
	tok := newToken(t, "k")
	g := newLiveGate(t)
	check := func(when string, want policies.Reason) {
		t.Helper()
		if got := verdictOf(t, g, tok, "read"); got != want {
			t.Errorf("%s: %q, want %q; log %s", when, got, want, g.host.Logged())
		}
	}
	check("not configured", policies.NoSnapshot)
	g.configure(t, nil)
	check("nothing heard yet", policies.NoSnapshot)
	s := snapshotOf(t, tok)
	g.publish(t, s)
	check("granted", policies.ReasonNone)
	s.Generation++
	s.Consumers[0].State = snapshot.Suspended
	g.publish(t, s)
	check("suspended", policies.ConsumerPaused)
	s.Generation++
	s.Consumers[0].State = snapshot.Active
	s.Consumers[0].Grants = nil
	g.publish(t, s)
	check("without a grant", policies.NotGranted)
	s.Generation++
	s.Policy = &snapshot.Policy{Version: "broken", Program: []byte("no program")}
	g.publish(t, s)
	check("with a policy that can't be loaded", policies.PolicyFailed)
	s.Generation++
	s.Policy = nil
	g.publish(t, s)
	check("without a policy", policies.PolicyFailed)
	s = snapshotOf(t, tok)
	s.Generation += 20
	g.publish(t, s)
	check("granted again", policies.ReasonNone)
	g.pass(59 * time.Second)
	check("shortly before it is stale", policies.ReasonNone)
	g.pass(2 * time.Second)
	check("stale", policies.SnapshotStale)
}

// A VM that starts after another has heard of a Manager without a usable policy
// must not be without a configuration for good.
func TestAVMThatComesLateFollowsTheManagerToo(t *testing.T) {
	tok := newToken(t, "k")
	g := newLiveGate(t)
	g.configure(t, nil)
	s := snapshotOf(t, tok)
	s.Policy = nil
	g.publish(t, s)
	host := &filtertest.LiveHost{Host: g.host.Host, Store: g.host.Store}
	late := admission.New(host)
	if err := late.Configure(g.Config(nil, 60)); err != nil {
		t.Fatal(err)
	}
	if got := verdictOf(t, late, tok, "read"); got != policies.PolicyFailed {
		t.Errorf("without a policy: %q", got)
	}
	s = snapshotOf(t, tok)
	s.Generation++
	g.publish(t, s)
	if got := verdictOf(t, late, tok, "read"); got != policies.ReasonNone {
		t.Errorf("once there is one: %q; log %s", got, host.Logged())
	}
}

func TestASnapshotServesUntilTheManagerIsReached(t *testing.T) {
	tok := newToken(t, "k")
	g := newLiveGate(t)
	g.configure(t, snapshotOf(t, tok))
	if got := verdictOf(t, g, tok, "read"); got != policies.ReasonNone {
		t.Errorf("while the Manager is down: %q", got)
	}
	g.pass(61 * time.Second)
	if got := verdictOf(t, g, tok, "read"); got != policies.SnapshotStale {
		t.Errorf("down for longer than max_stale: %q", got)
	}
	s := snapshotOf(t, tok)
	s.Generation = 1 // of another epoch than the file
	s.Epoch = "manager"
	s.Consumers[0].State = snapshot.Revoked
	for g.host.Calls = nil; len(g.host.Calls) == 0; { // none of them was ever answered
		g.pass(time.Second)
	}
	g.publish(t, s)
	if got := verdictOf(t, g, tok, "read"); got != policies.TokenRevoked {
		t.Errorf("once it was reached: %q", got)
	}
}

func TestAManagerWithoutATokenIsRefused(t *testing.T) {
	g := newLiveGate(t)
	g.host.Env = nil
	if err := g.Configure(g.Config(nil, 60)); err == nil || !strings.Contains(err.Error(), live.EnvToken) {
		t.Errorf("error = %v, want one that names %s", err, live.EnvToken)
	}
}

// A slowStream is one whose body a test hands over itself.
type slowStream struct {
	*filtertest.Stream
	body string
}

func (s *slowStream) Body(filter.Side, int) ([]byte, error) { return []byte(s.body), nil }

// The attack: open a request while it is allowed, and send the end of its body
// once it is not any more.
func TestARequestThatIsHeldIsDecidedByWhatIsInForceAtItsEnd(t *testing.T) {
	tok := newToken(t, "k")
	for name, change := range map[string]func(s *snapshot.Snapshot){
		"consumer suspended": func(s *snapshot.Snapshot) { s.Consumers[0].State = snapshot.Suspended },
		"token revoked":      func(s *snapshot.Snapshot) { s.Consumers[0].Tokens[0].Revoked = true },
		"grant revoked":      func(s *snapshot.Snapshot) { s.Consumers[0].Grants = nil },
		"consumer deleted":   func(s *snapshot.Snapshot) { s.Consumers = nil },
		"target deleted": func(s *snapshot.Snapshot) {
			s.Targets, s.Consumers[0].Grants = s.Targets[1:], s.Consumers[0].Grants[2:]
		},
		"target of another kind": func(s *snapshot.Snapshot) { s.Targets[0].Kind = policies.KindHTTP },
		"policy gone":            func(s *snapshot.Snapshot) { s.Policy = nil },
		"nothing":                nil,
	} {
		t.Run(name, func(t *testing.T) {
			g := newLiveGate(t)
			g.configure(t, nil)
			s := snapshotOf(t, tok)
			g.publish(t, s)
			stream := &slowStream{filtertest.NewStream(post(tok, call("read")).Headers...), call("read")}
			h := g.NewStream(stream)
			if h.RequestHeaders(false) != filter.Hold || len(stream.Replies) > 0 {
				t.Fatal("the request is not held")
			}
			if change != nil {
				change(s)
			}
			s.Generation++
			g.publish(t, s)
			got := h.RequestBody(len(stream.body), true)
			if allowed := got == filter.Continue; allowed != (change == nil) || allowed == (len(stream.Replies) > 0) {
				t.Errorf("allowed %t, replies %+v", allowed, stream.Replies)
			}
		})
	}
}

// What a request costs does not grow with the number of consumers, and neither
// does what a VM keeps of them.
func TestManyConsumersStayFlat(t *testing.T) {
	tok := newToken(t, "k")
	g := newLiveGate(t)
	g.configure(t, nil)
	const consumers, page = 10_000, 2000
	g.pass(time.Second)
	whole := snapshotOf(t, tok)
	for at := 0; at < consumers; at += page {
		s := *whole
		if at > 0 {
			s.Policy, s.Targets, s.Consumers = nil, nil, nil
		}
		for i := range page {
			c := whole.Consumers[0]
			c.ID = fmt.Sprintf("w%d", at+i)
			c.Tokens = []snapshot.Token{{ID: "t", SHA256: fmt.Sprintf("%064x", at+i)}}
			s.Consumers = append(s.Consumers, c)
		}
		cursor := "next"
		if at+page == consumers {
			cursor = ""
		}
		g.host.Answer(g.Manager.Answer(livetest.Request(t, g.host.Calls[0]), livetest.Page(&s, cursor, cursor == "")))
	}
	vm := func() uint64 { // what this VM keeps, without the shared data of all
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	if got := verdictOf(t, g, tok, "read"); got != policies.ReasonNone {
		t.Fatal(got)
	}
	before, gets := vm(), g.host.Gets
	const calls = 1000
	for range calls {
		if got := verdictOf(t, g, tok, "read"); got != policies.ReasonNone {
			t.Fatal(got)
		}
	}
	if each := float64(g.host.Gets-gets) / calls; each > 2 {
		t.Errorf("%.2f looks at shared data a request, want 2: at the headers and at the body's end", each)
	}
	if grown := int64(vm()) - int64(before); grown > 1<<20 {
		t.Errorf("the VM grew by %d bytes in %d requests", grown, calls)
	}
}
