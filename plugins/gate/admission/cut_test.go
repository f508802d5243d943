package admission_test

import (
	"strings"
	"testing"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// An eventStream is a stream whose answer a test sends itself.
type eventStream struct {
	*filtertest.Stream
	body   string // of the side whose callback runs
	answer [][2]string
	inBody bool     // the callback that runs is the answer's body's
	out    []string // what replaced the answer's chunks
}

func (s *eventStream) Body(filter.Side, int) ([]byte, error) { return []byte(s.body), nil }

func (s *eventStream) Headers(side filter.Side) ([][2]string, error) {
	if side == filter.Response {
		if s.inBody { // as hosts do
			return nil, filter.ErrNotFound
		}
		return s.answer, nil
	}
	return s.Stream.Headers(side)
}

func (s *eventStream) ReplaceBody(_ filter.Side, b []byte) error {
	s.out = append(s.out, string(b))
	return nil
}

// begin lets the gate admit a request, and its answer begin.
func (g *liveGate) begin(t *testing.T, m filtertest.Message, media string) (*eventStream, filter.Handler) {
	t.Helper()
	s := &eventStream{Stream: filtertest.NewStream(m.Headers...), answer: [][2]string{{":status", "200"}, {"content-type", media}}}
	h := g.NewStream(s)
	s.body = strings.Join(m.Body, "")
	if h.RequestHeaders(s.body == "") == filter.Hold && h.RequestBody(len(s.body), true) == filter.Hold {
		t.Fatalf("not admitted: %+v", s.Replies)
	}
	if media != "" && h.ResponseHeaders(false) == filter.Hold {
		t.Fatal("the answer is held")
	}
	return s, h
}

// chunk sends one of the answer, and says whether it goes on as it was, or as
// something else, or not at all.
func (s *eventStream) chunk(h filter.Handler, text string) (string, bool) {
	s.body, s.out, s.inBody = text, nil, true
	defer func() { s.inBody = false }()
	if h.ResponseBody(len(text), false) == filter.Hold {
		return "", false
	}
	if len(s.out) > 0 {
		return s.out[0], true
	}
	return text, true
}

const progress = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n"

var endings = []struct {
	name   string
	change func(s *snapshot.Snapshot)
	want   policies.Reason // ReasonNone: it goes on
}{
	{"consumer suspended", func(s *snapshot.Snapshot) { s.Consumers[0].State = snapshot.Suspended }, policies.ConsumerPaused},
	{"consumer revoked", func(s *snapshot.Snapshot) { s.Consumers[0].State = snapshot.Revoked }, policies.TokenRevoked},
	{"consumer deleted", func(s *snapshot.Snapshot) { s.Consumers = nil }, policies.TokenUnknown},
	{"token revoked", func(s *snapshot.Snapshot) { s.Consumers[0].Tokens[0].Revoked = true }, policies.TokenRevoked},
	{"grant revoked", func(s *snapshot.Snapshot) { s.Consumers[0].Grants = s.Consumers[0].Grants[2:] }, policies.NotGranted},
	{"target deleted", func(s *snapshot.Snapshot) {
		s.Targets, s.Consumers[0].Grants = s.Targets[1:], s.Consumers[0].Grants[2:]
	}, policies.NoTarget},
	{"policy gone", func(s *snapshot.Snapshot) { s.Policy = nil }, policies.PolicyFailed},
	{"another's grant revoked", func(s *snapshot.Snapshot) { s.Consumers[0].Grants = s.Consumers[0].Grants[:1] }, policies.ReasonNone},
	{"token rotated with an overlap", func(s *snapshot.Snapshot) {
		old := s.Consumers[0].Tokens[0]
		old.Expires = now + 3600
		s.Consumers[0].Tokens = []snapshot.Token{old, {ID: "t2", SHA256: strings.Repeat("a", 64)}}
	}, policies.ReasonNone},
	{"nothing", func(*snapshot.Snapshot) {}, policies.ReasonNone},
}

func TestAnOpenStreamEndsWithWhatAllowedIt(t *testing.T) {
	tok := newToken(t, "k")
	whole := snapshotOf(t, tok)
	for _, tt := range endings {
		t.Run(tt.name, func(t *testing.T) {
			g := newLiveGate(t)
			g.configure(t, nil)
			s := *whole
			s.Consumers = []snapshot.Consumer{whole.Consumers[0]}
			s.Consumers[0].Tokens = append([]snapshot.Token(nil), s.Consumers[0].Tokens...)
			g.publish(t, &s)
			busy, b := g.begin(t, post(tok, call("read")), "text/event-stream")
			silent, _ := g.begin(t, post(tok, call("read")), "text/event-stream")
			waiting, _ := g.begin(t, post(tok, call("read")), "")
			if out, ok := busy.chunk(b, progress); !ok || !strings.Contains(out, "notifications/progress") {
				t.Fatalf("before: %q", out)
			}
			s.Generation++
			tt.change(&s)
			g.publish(t, &s)
			g.pass(g.host.Period)
			out, ok := busy.chunk(b, progress)
			if tt.want == policies.ReasonNone {
				g.pass(time.Second)
				if !strings.Contains(out, "notifications/progress") || len(busy.Cuts)+len(silent.Cuts)+len(waiting.Cuts) > 0 {
					t.Errorf("it ended: %q, cuts %v %v %v", out, busy.Cuts, silent.Cuts, waiting.Cuts)
				}
				return
			}
			if !ok || !strings.HasPrefix(out, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"a-1\",\"error\"") ||
				!strings.Contains(out, `"reason":"`+string(tt.want)+`"`) || !strings.HasSuffix(out, "\n\n") || strings.Contains(out, "progress") {
				t.Errorf("the client of a busy stream is told %q", out)
			}
			if more, ok := busy.chunk(b, progress); ok {
				t.Errorf("after the last event %q goes out", more)
			}
			g.pass(100 * time.Millisecond)
			for name, s := range map[string]*eventStream{"busy": busy, "silent": silent, "waiting": waiting} {
				if len(s.Cuts) != 1 || !strings.Contains(string(s.Cuts[0].Body), string(tt.want)) || len(s.Replies) > 0 {
					t.Errorf("%s: cut with %v, replies %v", name, s.Cuts, s.Replies)
				}
			}
			if n := strings.Count(g.host.Logged(), "cut reason="+string(tt.want)+" "); n != 3 {
				t.Errorf("%d lines tell of 3 cuts:\n%s", n, g.host.Logged())
			}
			if strings.Contains(g.host.Logged(), tok) {
				t.Error("the log holds the token")
			}
		})
	}
}

func TestStreamsOfOtherKindsEndToo(t *testing.T) {
	tok := newToken(t, "k")
	g := newLiveGate(t)
	g.configure(t, nil)
	s := snapshotOf(t, tok)
	g.publish(t, s)
	llm := filtertest.Message{Headers: [][2]string{{":method", "POST"}, {":path", "/v1/chat"}, {":authority", "gw"}, {"authorization", "Bearer " + tok}}}
	events, e := g.begin(t, llm, "text/event-stream")
	plain, p := g.begin(t, llm, "application/octet-stream")
	done, d := g.begin(t, llm, "text/event-stream")
	d.Done()
	s.Consumers[0].State = snapshot.Suspended
	s.Generation++
	g.publish(t, s)
	g.pass(g.host.Period)
	if out, _ := events.chunk(e, "data: more\n\n"); !strings.HasPrefix(out, "\n\nevent: error\ndata: {") || !strings.Contains(out, "consumer_suspended") {
		t.Errorf("the client is told %q", out)
	}
	if out, ok := plain.chunk(p, "more"); ok {
		t.Errorf("bytes that are no events go on: %q", out)
	}
	g.pass(100 * time.Millisecond)
	if len(events.Cuts) != 1 || len(plain.Cuts) != 1 || len(done.Cuts) != 0 {
		t.Errorf("cuts: %v, %v, and of one that was done %v", events.Cuts, plain.Cuts, done.Cuts)
	}
}

func TestStreamsEndWithTheirTokensAndGrants(t *testing.T) {
	tok := newToken(t, "k")
	for name, end := range map[string]func(*snapshot.Consumer){
		"token": func(c *snapshot.Consumer) { c.Tokens[0].Expires = now + 30 },
		"grant": func(c *snapshot.Consumer) { c.Grants[0].Expires = now + 30 },
	} {
		g := newLiveGate(t)
		g.configure(t, nil)
		s := snapshotOf(t, tok)
		end(&s.Consumers[0])
		g.publish(t, s)
		stream, _ := g.begin(t, post(tok, call("read")), "text/event-stream")
		g.pass(25 * time.Second)
		if len(stream.Cuts) > 0 {
			t.Errorf("%s: cut before its time", name)
		}
		g.pass(12 * time.Second)
		if len(stream.Cuts) != 1 {
			t.Errorf("%s: not cut when it ends", name)
		}
	}
}

func TestStreamsEndWhenTheManagerIsLost(t *testing.T) {
	tok := newToken(t, "k")
	g := newLiveGate(t)
	g.configure(t, nil)
	g.publish(t, snapshotOf(t, tok))
	stream, _ := g.begin(t, post(tok, call("read")), "text/event-stream")
	g.pass(62 * time.Second)
	if len(stream.Cuts) != 1 || !strings.Contains(string(stream.Cuts[0].Body), string(policies.SnapshotStale)) {
		t.Errorf("cuts: %v", stream.Cuts)
	}
}
