package filtertest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
)

// script is a plugin whose callbacks a test writes; nil ones continue.
type script struct {
	s                                           filter.Stream
	headers, body, trailers, answer, answerBody func(s filter.Stream, end bool) filter.Action
	seen                                        []string
}

func (p *script) Configure([]byte) error                   { return nil }
func (p *script) NewStream(s filter.Stream) filter.Handler { p.s = s; return p }
func (p *script) Done()                                    { p.seen = append(p.seen, "done") }

func (p *script) call(name string, f func(filter.Stream, bool) filter.Action, end bool) filter.Action {
	if end {
		name += " end"
	}
	p.seen = append(p.seen, name)
	if f == nil {
		return filter.Continue
	}
	return f(p.s, end)
}

func (p *script) RequestHeaders(end bool) filter.Action     { return p.call("headers", p.headers, end) }
func (p *script) RequestBody(_ int, end bool) filter.Action { return p.call("body", p.body, end) }
func (p *script) RequestTrailers() filter.Action            { return p.call("trailers", p.trailers, false) }

func (p *script) ResponseHeaders(end bool) filter.Action { return p.call("answer", p.answer, end) }

func (p *script) ResponseBody(_ int, end bool) filter.Action {
	return p.call("answer-body", p.answerBody, end)
}
func (p *script) ResponseTrailers() filter.Action { return p.call("answer-trailers", nil, false) }

func hold(filter.Stream, bool) filter.Action { return filter.Hold }

func holdUntilEnd(_ filter.Stream, end bool) filter.Action {
	if end {
		return filter.Continue
	}
	return filter.Hold
}

func deny(s filter.Stream, _ bool) filter.Action {
	_ = s.Reply(filter.Reply{Status: 403, Body: []byte("no")})
	return filter.Hold
}

var post = [][2]string{{":method", "POST"}}

func TestRun(t *testing.T) {
	body := filtertest.Message{Headers: post, Body: []string{"a", "b"}}
	trailers := filtertest.Message{Headers: post, Body: []string{"a"}, Trailers: [][2]string{{"t", "1"}}}
	tests := []struct {
		name             string
		p                *script
		in               filtertest.Message
		wantSeen         string
		upstream, client string // body pieces; "-" for nothing at all
		reset            bool
		faults           string
	}{
		{
			"a request without a body ends with its headers", &script{},
			filtertest.Message{Headers: post},
			"headers end, answer end, done", "", "", false, "",
		},
		{
			"a body ends in a callback of its own", &script{}, body,
			"headers, body, body, body end, answer end, done", "a|b", "", false, "",
		},
		{
			"an empty chunked body still has an end", &script{},
			filtertest.Message{Headers: post, Body: []string{""}},
			"headers, body, body end, answer end, done", "", "", false, "",
		},
		{
			"with trailers the body has no end", &script{}, trailers,
			"headers, body, trailers, answer end, done", "a", "", false, "",
		},
		{
			"what is held goes at once when it is let go", &script{headers: hold, body: holdUntilEnd}, body,
			"headers, body, body, body end, answer end, done", "ab", "", false, "",
		},
		{
			"trailers let go of what is held", &script{headers: hold, body: hold}, trailers,
			"headers, body, trailers, answer end, done", "a", "", false, "",
		},
		{
			"holding the end is a fault", &script{headers: hold, body: hold}, body,
			"headers, body, body, body end, done", "-", "-", false, "request end of body: held for ever",
		},
		{
			"holding headers at the end is a fault", &script{headers: hold},
			filtertest.Message{Headers: post},
			"headers end, done", "-", "-", false, "request headers: held for ever",
		},
		{
			"a denial in the body sends nothing upstream", &script{headers: hold, body: deny}, body,
			"headers, body, answer, answer-body, answer-body end, done", "-", "no", false, "",
		},
		{
			"a continue after a denial is a fault", &script{headers: func(s filter.Stream, _ bool) filter.Action {
				deny(s, true)
				return filter.Continue
			}},
			filtertest.Message{Headers: post},
			"headers end, answer, answer-body, answer-body end, done", "-", "no", false, "request headers: continue after a reply",
		},
		{
			"an answer can be refused", &script{answer: deny},
			filtertest.Message{Headers: post},
			"headers end, answer end, done", "", "no", false, "",
		},
		{
			"an answer under way can only be cut", &script{answerBody: deny},
			filtertest.Message{Headers: post},
			"headers end, answer, answer-body, done", "", "", true, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := filtertest.Exchange{Request: tt.in}
			if tt.reset {
				e.Upstream = func(filtertest.Message) filtertest.Message {
					return filtertest.Message{Headers: [][2]string{{":status", "200"}}, Body: []string{"x"}}
				}
			}
			r := filtertest.Run(tt.p, e)
			got := []string{strings.Join(tt.p.seen, ", "), pieces(r.Upstream), pieces(r.Client), strings.Join(r.Faults, "; ")}
			want := []string{tt.wantSeen, tt.upstream, tt.client, tt.faults}
			if d := cmp.Diff(want, got); d != "" || r.Reset != tt.reset {
				t.Errorf("reset %v; callbacks, upstream, client, faults (-want +got):\n%s", r.Reset, d)
			}
		})
	}
}

func TestStreamHeaders(t *testing.T) {
	s := filtertest.NewStream([2]string{"a", "1"}, [2]string{"b", "2"}, [2]string{"a", "3"})
	check := func(step string, err error, want ...[2]string) {
		t.Helper()
		got, herr := s.Headers(filter.Request)
		if d := cmp.Diff(want, got); d != "" || err != nil || herr != nil {
			t.Errorf("%s: %v, %v (-want +got):\n%s", step, err, herr, d)
		}
	}
	check("set leaves one", s.SetHeader(filter.Request, "a", "4"), [2]string{"a", "4"}, [2]string{"b", "2"})
	check("add keeps both", s.AddHeader(filter.Request, "b", "5"), [2]string{"a", "4"}, [2]string{"b", "2"}, [2]string{"b", "5"})
	check("remove takes all", s.RemoveHeader(filter.Request, "b"), [2]string{"a", "4"})
}

func pieces(m *filtertest.Message) string {
	if m == nil {
		return "-"
	}
	return strings.Join(m.Body, "|")
}
