package admission_test

import (
	"bytes"
	"testing"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/gate/admission"
	"keyward/plugins/gate/session"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

var sessionKey = bytes.Repeat([]byte{5}, snapshot.SessionKeyBytes)

// event is an event's ID as the worker has it from the target "code".
func event(id string) string {
	return string(session.New(sessionKey).Append(nil, session.Event, "worker", "code", []byte(id)))
}

// given is the session that a client gets from a server that calls it so.
func given(t *testing.T, p filter.Plugin, tok, id string) string {
	t.Helper()
	r := filtertest.Run(p, filtertest.Exchange{Request: post(tok, call("read")), Upstream: func(filtertest.Message) filtertest.Message {
		return filtertest.Message{Headers: [][2]string{{":status", "202"}, {"mcp-session-id", id}}}
	}})
	if r.Client == nil || len(r.Faults) > 0 {
		t.Fatalf("no answer: %+v", r)
	}
	return r.Client.Header("mcp-session-id")
}

// used is the session that a server is shown for the one that a client sends; ""
// when the request does not get there.
func used(t *testing.T, p filter.Plugin, tok, bound string) string {
	t.Helper()
	m := post(tok, call("read"))
	m.Headers = append(m.Headers, [2]string{"mcp-session-id", bound})
	r := filtertest.Run(p, filtertest.Exchange{Request: m})
	if r.Upstream == nil {
		if r.Client == nil || r.Client.Header(":status") != "404" {
			t.Errorf("a session that is not known is answered %+v", r.Client)
		}
		return ""
	}
	return r.Upstream.Header("mcp-session-id")
}

func TestSessionsWithoutAKeyAreThoseOfTheProcess(t *testing.T) {
	tok := newToken(t, "k")
	s := snapshotOf(t, tok)
	s.SessionKey = nil
	vm := func(store *filtertest.Store) filter.Plugin {
		g := admission.New(&filtertest.LiveHost{Host: filtertest.Host{Time: now * 1e9}, Store: store})
		if err := g.Configure([]byte(`{"snapshot":` + string(snapshot.Encode(s)) + `}`)); err != nil {
			t.Fatal(err)
		}
		return g
	}
	process := &filtertest.Store{}
	first, second, elsewhere := vm(process), vm(process), vm(&filtertest.Store{})
	bound := given(t, first, tok, "s-1")
	if bound == "s-1" {
		t.Fatal("the session is the server's")
	}
	if got := used(t, first, tok, bound); got != "s-1" {
		t.Errorf("the VM that gave it shows the server %q", got)
	}
	if got := used(t, second, tok, bound); got != "s-1" {
		t.Errorf("another VM of the process shows the server %q", got)
	}
	if got := used(t, elsewhere, tok, bound); got != "" {
		t.Errorf("another process shows the server %q", got)
	}
}

func TestSessionsOfAManagersGatewaysAreTheSame(t *testing.T) {
	tok := newToken(t, "k")
	first, second := newLiveGate(t), newLiveGate(t)
	for _, g := range []*liveGate{first, second} {
		g.configure(t, nil)
		g.publish(t, snapshotOf(t, tok))
	}
	bound := given(t, first, tok, "s-1")
	if got := used(t, second, tok, bound); got != "s-1" {
		t.Errorf("another gateway shows the server %q", got)
	}
	// With another key the Manager ends them.
	next := snapshotOf(t, tok)
	next.Since, next.Generation, next.Policy, next.Targets, next.Consumers = 7, 8, nil, nil, nil
	next.SessionKey = bytes.Repeat([]byte{6}, snapshot.SessionKeyBytes)
	first.publish(t, next)
	first.pass(time.Second)
	if got := used(t, first, tok, bound); got != "" {
		t.Errorf("under another key the server is shown %q", got)
	}
	if got := verdictOf(t, first, tok, "read"); got != policies.ReasonNone {
		t.Errorf("a call without a session is refused: %s", got)
	}
}
