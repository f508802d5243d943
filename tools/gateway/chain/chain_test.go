package chain_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/tools/gateway/chain"
	"keyward/tools/gateway/chain/chaintest"
)

type trace struct{ lines []string }

// script is a plugin of which a test writes the callbacks it cares for; the
// others continue. It notes each callback in the trace that it shares.
type script struct {
	name  string
	trace *trace
	// do maps a callback ("request body") to what it does.
	do map[string]func(s filter.Stream, size int, end bool) filter.Action
}

func (p *script) Configure([]byte) error { return nil }

func (p *script) NewStream(s filter.Stream) filter.Handler { return &scripted{p, s} }

type scripted struct {
	*script
	s filter.Stream
}

func (p *scripted) call(at string, size int, end bool) filter.Action {
	line := p.name + " " + at
	if strings.HasSuffix(at, "body") {
		line += fmt.Sprintf(" %d", size)
	}
	if end {
		line += " end"
	}
	p.trace.lines = append(p.trace.lines, line)
	if f := p.do[at]; f != nil {
		return f(p.s, size, end)
	}
	return filter.Continue
}

func (p *scripted) RequestHeaders(end bool) filter.Action { return p.call("request headers", 0, end) }

func (p *scripted) RequestBody(n int, end bool) filter.Action {
	return p.call("request body", n, end)
}

func (p *scripted) RequestTrailers() filter.Action { return p.call("request trailers", 0, false) }

func (p *scripted) ResponseHeaders(end bool) filter.Action { return p.call("response headers", 0, end) }

func (p *scripted) ResponseBody(n int, end bool) filter.Action {
	return p.call("response body", n, end)
}
func (p *scripted) ResponseTrailers() filter.Action { return p.call("response trailers", 0, false) }
func (p *scripted) Done()                           { p.call("done", 0, false) }

type do = map[string]func(s filter.Stream, size int, end bool) filter.Action

func hold(filter.Stream, int, bool) filter.Action { return filter.Hold }

func holdUntilEnd(_ filter.Stream, _ int, end bool) filter.Action {
	if end {
		return filter.Continue
	}
	return filter.Hold
}

func deny(s filter.Stream, _ int, _ bool) filter.Action {
	_ = s.Reply(filter.Reply{Status: 403, Body: []byte("no"), Detail: "test"})
	return filter.Hold
}

func denyAtEnd(s filter.Stream, size int, end bool) filter.Action {
	if !end {
		return filter.Hold
	}
	return deny(s, size, end)
}

var (
	get       = filtertest.Message{Headers: [][2]string{{":method", "GET"}, {":path", "/"}}}
	post      = [][2]string{{":method", "POST"}, {":path", "/"}}
	aTrailer  = [][2]string{{"t", "1"}}
	ok        = [2]string{":status", "200"}
	twoPieces = filtertest.Message{Headers: post, Body: []string{"ab", "c"}}
)

func body(pieces ...string) filtertest.Message {
	return filtertest.Message{Headers: post, Body: pieces}
}

func answers(pieces ...string) func(filtertest.Message) filtertest.Message {
	return func(filtertest.Message) filtertest.Message {
		return filtertest.Message{Headers: [][2]string{ok}, Body: pieces}
	}
}

// outcome is a result in few words.
func outcome(r *chaintest.Result) string {
	var b strings.Builder
	b.WriteString("upstream ")
	switch {
	case r.Upstream == nil:
		b.WriteString("nothing")
	default:
		b.WriteString(strings.Join(r.Upstream.Body, "|"))
		if r.Upstream.Trailers != nil {
			b.WriteString("+trailers")
		}
		if !r.Whole {
			b.WriteString(" unfinished")
		}
		fmt.Fprintf(&b, " after %d", r.SentBefore)
	}
	if r.UpstreamReset {
		b.WriteString(" reset")
	}
	b.WriteString("; client ")
	switch {
	case r.Client == nil:
		b.WriteString("nothing")
	default:
		b.WriteString(r.Client.Header(":status") + " " + strings.Join(r.Client.Body, "|"))
		if r.Client.Trailers != nil {
			b.WriteString("+trailers")
		}
		if !r.Answered {
			b.WriteString(" unfinished")
		}
	}
	if r.Reset {
		b.WriteString(" reset")
	}
	for _, f := range r.Faults {
		b.WriteString("; fault: " + f.String())
	}
	return b.String()
}

func TestCallbacks(t *testing.T) {
	tests := []struct {
		name     string
		a, b     do
		e        chaintest.Exchange
		want     string
		callback []string // of a and b, without those of done; nil: not checked
	}{
		{
			name: "a request without a body ends with its headers", e: chaintest.Exchange{Request: get},
			want:     "upstream  after 1; client 200 ",
			callback: []string{"a request headers end", "b request headers end", "b response headers end", "a response headers end"},
		},
		{
			name: "a body passes piece by piece and ends in a piece of its own", e: chaintest.Exchange{Request: twoPieces},
			want: "upstream ab|c after 1; client 200 ",
			callback: []string{
				"a request headers", "b request headers", "a request body 2", "b request body 2", "a request body 1", "b request body 1",
				"a request body 0 end", "b request body 0 end", "b response headers end", "a response headers end",
			},
		},
		{
			name: "the last piece may carry the end", e: chaintest.Exchange{Request: twoPieces, Joined: true},
			a:    do{"request headers": hold, "request body": holdUntilEnd},
			want: "upstream abc after 3; client 200 ",
			callback: []string{
				"a request headers", "a request body 2", "a request body 3 end",
				"b request headers", "b request body 3 end", "b response headers end", "a response headers end",
			},
		},
		{
			name: "an empty chunked body has an end", e: chaintest.Exchange{Request: body("")},
			a:        do{"request headers": hold, "request body": holdUntilEnd},
			want:     "upstream  after 3; client 200 ",
			callback: nil,
		},
		{
			name: "held headers go with the verdict, and the later filter sees all at once", e: chaintest.Exchange{Request: twoPieces},
			a:    do{"request headers": hold, "request body": holdUntilEnd},
			want: "upstream abc after 4; client 200 ",
			callback: []string{
				"a request headers", "a request body 2", "a request body 3", "a request body 3 end",
				"b request headers", "b request body 3 end", "b response headers end", "a response headers end",
			},
		},
		{
			name: "a continue in the middle releases the headers and the bytes so far", e: chaintest.Exchange{Request: twoPieces},
			a: do{"request headers": hold}, want: "upstream ab|c after 2; client 200 ",
		},
		{
			name: "a denial in the body leaves the upstream without a byte", e: chaintest.Exchange{Request: twoPieces},
			a:    do{"request headers": hold, "request body": denyAtEnd},
			want: "upstream nothing; client 403 no",
			callback: []string{
				"a request headers", "a request body 2", "a request body 3", "a request body 3 end",
				"a response headers", "a response body 2 end",
			},
		},
		{
			name: "a denial after the headers went on cuts the upstream", e: chaintest.Exchange{Request: twoPieces},
			a:    do{"request body": denyAtEnd},
			want: "upstream  unfinished after 1 reset; client 403 no",
		},
		{
			name: "a denial passes back through the earlier filters alone", e: chaintest.Exchange{Request: get},
			b:    do{"request headers": deny},
			want: "upstream nothing; client 403 no",
			callback: []string{
				"a request headers end", "b request headers end",
				"b response headers", "a response headers", "b response body 2 end", "a response body 2 end",
			},
		},
		{
			name: "later filters see a denial only when they saw the request", e: chaintest.Exchange{Request: get},
			a: do{"request headers": deny}, want: "upstream nothing; client 403 no",
			callback: []string{"a request headers end", "a response headers", "a response body 2 end"},
		},
		{
			name: "trailers end the body in their own callback",
			e:    chaintest.Exchange{Request: filtertest.Message{Headers: post, Body: []string{"ab"}, Trailers: aTrailer}},
			a:    do{"request headers": hold, "request body": hold},
			want: "upstream ab+trailers after 3; client 200 ",
			callback: []string{
				"a request headers", "a request body 2", "a request trailers",
				"b request headers", "b request body 2", "b request trailers", "b response headers end", "a response headers end",
			},
		},
		{
			name: "a denial in the trailers leaves the upstream without a byte",
			e:    chaintest.Exchange{Request: filtertest.Message{Headers: post, Body: []string{"ab"}, Trailers: aTrailer}},
			a:    do{"request headers": hold, "request body": hold, "request trailers": deny},
			want: "upstream nothing; client 403 no",
		},
		{
			name: "trailers without a body call no body callback",
			e:    chaintest.Exchange{Request: filtertest.Message{Headers: post, Trailers: aTrailer}},
			a: do{"request headers": hold, "request trailers": func(s filter.Stream, _ int, _ bool) filter.Action {
				if _, err := s.Body(filter.Request, 9); err != filter.ErrNotFound {
					return filter.Hold
				}
				return filter.Continue
			}},
			want: "upstream +trailers after 2; client 200 ",
			callback: []string{
				"a request headers", "a request trailers", "b request headers", "b request trailers", "b response headers end", "a response headers end",
			},
		},
		{
			name: "a held body over the limit is answered by the host",
			e:    chaintest.Exchange{Request: twoPieces, BufferLimit: 2},
			a:    do{"request headers": hold, "request body": hold},
			want: "upstream nothing; client 413 Payload Too Large",
			callback: []string{
				"a request headers", "a request body 2", "a response headers", "a response body 17 end",
			},
		},
		{
			name: "a body that is not held has no limit", e: chaintest.Exchange{Request: body("abcdef"), BufferLimit: 2},
			want: "upstream abcdef after 1; client 200 ",
		},
		{
			name: "an answer streams piece by piece", e: chaintest.Exchange{Request: get, Upstream: answers("a", "b")},
			want: "upstream  after 1; client 200 a|b",
			callback: []string{
				"a request headers end", "b request headers end", "b response headers", "a response headers",
				"b response body 1", "a response body 1", "b response body 1", "a response body 1",
				"b response body 0 end", "a response body 0 end",
			},
		},
		{
			name: "an answer under way is cut", e: chaintest.Exchange{Request: get, Upstream: answers("a", "b")},
			a: do{"response body": func(s filter.Stream, _ int, _ bool) filter.Action {
				b, _ := s.Body(filter.Response, 1)
				if string(b) == "b" {
					return deny(s, 0, false)
				}
				return filter.Continue
			}},
			want: "upstream  after 1 reset; client 200 a unfinished reset",
		},
		{
			name: "an answer not yet begun is replaced past all filters", e: chaintest.Exchange{Request: get, Upstream: answers("a")},
			b:    do{"response headers": deny},
			want: "upstream  after 1 reset; client 403 no",
			callback: []string{
				"a request headers end", "b request headers end", "b response headers",
			},
		},
		{
			name: "a held answer over the limit becomes an error",
			e:    chaintest.Exchange{Request: get, Upstream: answers("abc"), BufferLimit: 2},
			a:    do{"response headers": hold, "response body": hold},
			want: "upstream  after 1 reset; client 500 Internal Server Error",
		},
		{
			name: "answer trailers pass", e: chaintest.Exchange{Request: get, Upstream: func(filtertest.Message) filtertest.Message {
				return filtertest.Message{Headers: [][2]string{ok}, Body: []string{"a"}, Trailers: aTrailer}
			}},
			a:    do{"response headers": hold, "response body": hold},
			want: "upstream  after 1; client 200 a+trailers",
		},
		{
			name: "an upgrade is refused before any filter", e: chaintest.Exchange{Request: filtertest.Message{Headers: [][2]string{
				{":method", "GET"}, {"connection", "keep-alive, Upgrade"}, {"upgrade", "websocket"},
			}}},
			want: "upstream nothing; client 403 ", callback: []string{},
		},
		{
			name: "a CONNECT is refused before any filter", e: chaintest.Exchange{Request: filtertest.Message{Headers: [][2]string{{":method", "CONNECT"}}}},
			want: "upstream nothing; client 403 ", callback: []string{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tr trace
			tt.e.Filters = []chain.Filter{
				chain.Native("a", &script{"a", &tr, tt.a}),
				chain.Native("b", &script{"b", &tr, tt.b}),
			}
			r := tt.e.Run()
			if got := outcome(r); got != tt.want {
				t.Errorf("outcome:\n got %s\nwant %s", got, tt.want)
			}
			if tt.callback == nil {
				return
			}
			if len(tt.callback) > 0 {
				tt.callback = append(tt.callback, "a done", "b done")
			}
			if d := cmp.Diff(tt.callback, slices.Clip(tr.lines), cmp.Transformer("nil", func(l []string) string { return strings.Join(l, "\n") })); d != "" {
				t.Errorf("callbacks (-want +got):\n%s", d)
			}
		})
	}
}

func TestWhatFiltersChange(t *testing.T) {
	set := func(s filter.Stream, _ int, end bool) filter.Action {
		if !end {
			return filter.Hold
		}
		_ = s.ReplaceBody(filter.Request, []byte("longer"))
		_ = s.SetHeader(filter.Request, "content-length", "6")
		_ = s.SetHeader(filter.Request, "authorization", "new")
		_ = s.SetProperty("keyward.verdict", []byte("yes"))
		return filter.Continue
	}
	var tr trace
	var got string
	e := chaintest.Exchange{
		Filters: []chain.Filter{
			chain.Native("a", &script{"a", &tr, do{"request headers": hold, "request body": set}}),
			chain.Native("b", &script{"b", &tr, do{"response headers": func(s filter.Stream, _ int, _ bool) filter.Action {
				one, _ := s.Property("keyward.verdict")
				two, _ := s.Property("filter_state", "wasm.keyward.verdict")
				_, err := s.Property("keyward_other")
				got = fmt.Sprintf("%s %s %v", one, two, err)
				_ = s.RemoveHeader(filter.Response, "content-length")
				return filter.Continue
			}, "response body": func(s filter.Stream, size int, _ bool) filter.Action {
				_ = s.ReplaceBody(filter.Response, []byte(strings.Repeat("x", 2*size)))
				return filter.Continue
			}}}),
		},
		Request: filtertest.Message{
			Headers: [][2]string{{":method", "POST"}, {"authorization", "a"}, {"content-length", "2"}, {"authorization", "b"}, {"x", "y"}},
			Body:    []string{"ab"},
		},
		Upstream: func(filtertest.Message) filtertest.Message {
			return filtertest.Message{Headers: [][2]string{ok, {"content-length", "3"}}, Body: []string{"a", "bc"}}
		},
	}
	r := e.Run()
	if want := "upstream longer after 3; client 200 xx|xxxx"; outcome(r) != want {
		t.Errorf("outcome: got %s, want %s", outcome(r), want)
	}
	want := [][2]string{{":method", "POST"}, {"authorization", "new"}, {"content-length", "6"}, {"x", "y"}}
	if d := cmp.Diff(want, r.Upstream.Headers); d != "" {
		t.Errorf("headers at the upstream (-want +got):\n%s", d)
	}
	if got != "yes yes not found" {
		t.Errorf("properties: got %q", got)
	}
	if _, found := chain.NewHeaders(r.Client.Headers...).Get("content-length"); found {
		t.Error("the client got a content-length that was removed")
	}
}

func TestLocalReplyHeaders(t *testing.T) {
	var tr trace
	e := chaintest.Exchange{Request: get, Filters: []chain.Filter{chain.Native("a", &script{"a", &tr, do{
		"request headers": func(s filter.Stream, _ int, _ bool) filter.Action {
			_ = s.Reply(filter.Reply{Status: 401, Headers: [][2]string{{"content-type", "application/json"}}, Body: []byte("{}"), Detail: "why"})
			return filter.Hold
		},
		"response headers": func(s filter.Stream, _ int, _ bool) filter.Action {
			_ = s.AddHeader(filter.Response, "x-seen-by", "a")
			return filter.Continue
		},
	}})}}
	r := e.Run()
	want := [][2]string{{":status", "401"}, {"content-type", "application/json"}, {"content-length", "2"}, {"x-seen-by", "a"}}
	if d := cmp.Diff(want, r.Client.Headers); d != "" {
		t.Errorf("headers at the client (-want +got):\n%s", d)
	}
	if r.Detail != "why" {
		t.Errorf("detail: got %q", r.Detail)
	}
}

func TestFaults(t *testing.T) {
	at := func(callback string, f func(s filter.Stream)) do {
		d := do{"request headers": hold, "request body": holdUntilEnd, "request trailers": nil}
		prev := d[callback]
		d[callback] = func(s filter.Stream, n int, end bool) filter.Action {
			if end || callback != "request body" {
				f(s)
			}
			if prev == nil {
				return filter.Continue
			}
			return prev(s, n, end)
		}
		return d
	}
	sized := filtertest.Message{Headers: [][2]string{{":method", "POST"}, {"content-length", "2"}}, Body: []string{"ab"}}
	const denied = "upstream nothing; client 503 ; fault: a: "
	tests := []struct {
		name string
		do   do
		b    do
		in   filtertest.Message
		want string
	}{
		{"holding headers at the end", do{"request headers": hold}, nil, get, denied + "in request headers: holds the end, and nothing will resume it"},
		{"holding the end of the body", do{"request headers": hold, "request body": hold}, nil, twoPieces, denied + "in request body: holds the end, and nothing will resume it"},
		{"continuing after a reply", do{"request headers": func(s filter.Stream, n int, end bool) filter.Action {
			deny(s, n, end)
			return filter.Continue
		}}, nil, get, denied + "in request headers: continue after a reply"},
		{"replying twice", do{"request headers": func(s filter.Stream, n int, end bool) filter.Action {
			deny(s, n, end)
			return deny(s, n, end)
		}}, nil, get, denied + "in request headers: replies twice"},
		{
			"a header name in upper case", at("request headers", func(s filter.Stream) { _ = s.SetHeader(filter.Request, "X-A", "1") }), nil, twoPieces,
			denied + "in request headers: header name is no lower-case token",
		},
		{
			"a line end in a value", at("request headers", func(s filter.Stream) { _ = s.AddHeader(filter.Request, "x-a", "1\r\nhost: b") }), nil, twoPieces,
			denied + "in request headers: value of header x-a holds a line end or NUL",
		},
		{
			"a second pseudo-header", at("request headers", func(s filter.Stream) { _ = s.AddHeader(filter.Request, ":path", "/b") }), nil, twoPieces,
			denied + "in request headers: adds a second pseudo-header :path",
		},
		{
			"removing a pseudo-header", at("request headers", func(s filter.Stream) { _ = s.RemoveHeader(filter.Request, ":path") }), nil, twoPieces,
			denied + "in request headers: removes pseudo-header :path",
		},
		{
			"changing response headers before there are any", at("request headers", func(s filter.Stream) { _ = s.SetHeader(filter.Response, "a", "1") }), nil, twoPieces,
			denied + "in request headers: changes response headers that are not there",
		},
		{
			"changing trailers in the body", at("request body", func(s filter.Stream) { _ = s.SetHeader(filter.RequestTrailers, "a", "1") }), nil, twoPieces,
			denied + "in request body: changes request trailers headers that are not there",
		},
		{
			"replacing a body in the headers", at("request headers", func(s filter.Stream) { _ = s.ReplaceBody(filter.Request, nil) }), nil, twoPieces,
			denied + "in request headers: replaces a request body that it is not shown",
		},
		{
			"another length after a replacement", at("request body", func(s filter.Stream) { _ = s.ReplaceBody(filter.Request, []byte("smuggled")) }), nil, sized,
			denied + "replaced the request body and left another content-length",
		},
		{
			"a property by two names", at("request headers", func(s filter.Stream) { _ = s.SetProperty("keyward\x00verdict", []byte("1")) }), nil, twoPieces,
			denied + "in request headers: sets a property by other than one name",
		},
		{
			"reading a property by two names", at("request headers", func(s filter.Stream) { _, _ = s.Property("keyward", "verdict") }), nil, twoPieces,
			denied + "in request headers: reads a filter's property by more than one name",
		},
		{
			"a property of the host's", at("request headers", func(s filter.Stream) { _ = s.SetProperty("route_name", []byte("1")) }), nil, twoPieces,
			denied + "in request headers: sets property route_name, which the host reads itself",
		},
		{"a reply without a status", do{"request headers": func(s filter.Stream, _ int, _ bool) filter.Action {
			_ = s.Reply(filter.Reply{})
			return filter.Hold
		}}, nil, get, denied + "in request headers: replies with a status that is none"},
		{"changing headers that have gone on", do{"request body": func(s filter.Stream, _ int, _ bool) filter.Action {
			_ = s.SetHeader(filter.Request, "a", "1")
			return filter.Continue
		}}, nil, twoPieces, "upstream  unfinished after 1 reset; client 503 ; fault: a: in request body: changes request headers that have gone on"},
		{"two filters that hold parts of one body", do{"request body": func(_ filter.Stream, n int, end bool) filter.Action {
			if n == 1 {
				return filter.Hold
			}
			return filter.Continue
		}}, do{"request headers": hold, "request body": holdUntilEnd}, twoPieces, denied + "holds a body of which another filter holds a part"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tr trace
			e := chaintest.Exchange{Request: tt.in, Filters: []chain.Filter{
				chain.Native("a", &script{"a", &tr, tt.do}), chain.Native("b", &script{"b", &tr, tt.b}),
			}}
			if got := outcome(e.Run()); got != tt.want {
				t.Errorf("outcome:\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}
