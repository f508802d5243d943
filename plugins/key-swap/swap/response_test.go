package swap_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

func stars(n int) string { return strings.Repeat("*", n) }

func bearerExchange(m filtertest.Message) filtertest.Exchange {
	return filtertest.Exchange{Request: request("/mcp"), Properties: allow("w1", "bearer", "c-bearer"), Upstream: answer(m)}
}

func TestAnswerIsRedacted(t *testing.T) {
	masked := stars(len(bearerKey))
	tests := []struct {
		name     string
		in       filtertest.Message
		want     []string // pieces of the body
		headers  [][2]string
		trailers [][2]string
	}{
		{
			"nothing to redact passes piece by piece",
			filtertest.Message{Body: []string{"data: 1\n\n", "data: 2\n\n"}},
			[]string{"data: 1\n\n", "data: 2\n\n"},
			nil, nil,
		},
		{
			"a key in a body",
			filtertest.Message{Headers: [][2]string{{"content-length", "30"}}, Body: []string{`{"k":"` + bearerKey + `"}`}},
			[]string{`{"k":"` + masked + `"}`},
			[][2]string{{"content-length", "30"}},
			nil,
		},
		{
			"a key in an event",
			filtertest.Message{Headers: [][2]string{{"content-type", "text/event-stream"}}, Body: []string{"data: " + bearerKey + "\n\n", "data: 2\n\n"}},
			[]string{"data: " + masked + "\n\n", "data: 2\n\n"},
			[][2]string{{"content-type", "text/event-stream"}},
			nil,
		},
		{
			"a key across pieces",
			filtertest.Message{Body: []string{"a " + bearerKey[:5], bearerKey[5:9], bearerKey[9:] + " b"}},
			[]string{"a ", masked + " b"},
			nil, nil,
		},
		{
			"the beginning of a key at the end",
			filtertest.Message{Body: []string{"a " + bearerKey[:5]}},
			[]string{"a ", bearerKey[:5]},
			nil, nil,
		},
		{
			"a header as it was sent",
			filtertest.Message{Headers: [][2]string{{"x-echo", "authorization: Bearer " + bearerKey}}},
			nil,
			[][2]string{{"x-echo", "authorization: Bearer " + masked}},
			nil,
		},
		{
			"a redirect",
			filtertest.Message{Headers: [][2]string{{"location", "https://x.example/?t=" + bearerKey}}},
			nil,
			[][2]string{{"location", "https://x.example/?t=" + masked}},
			nil,
		},
		{
			"one of several headers of a name",
			filtertest.Message{Headers: [][2]string{{"set-cookie", "a=1"}, {"set-cookie", "k=" + bearerKey}, {"set-cookie", "b=2"}}},
			nil,
			[][2]string{{"set-cookie", "a=1"}, {"set-cookie", "k=" + masked}, {"set-cookie", "b=2"}},
			nil,
		},
		{
			"a trailer",
			filtertest.Message{Headers: [][2]string{{"trailer", "x-t"}}, Body: []string{"a"}, Trailers: [][2]string{{"x-t", bearerKey}}},
			[]string{"a"},
			[][2]string{{"trailer", "x-t"}},
			[][2]string{{"x-t", masked}},
		},
		{
			"a body before announced trailers",
			filtertest.Message{Headers: [][2]string{{"trailer", "x-t"}}, Body: []string{"a " + bearerKey[:5], bearerKey[5:], " b g"}, Trailers: [][2]string{{"x-t", "1"}}},
			[]string{"a " + masked, " b g"},
			[][2]string{{"trailer", "x-t"}},
			[][2]string{{"x-t", "1"}},
		},
		{
			"a body before gRPC's trailers",
			filtertest.Message{Headers: [][2]string{{"content-type", "application/grpc+proto"}}, Body: []string{bearerKey + " ghp_"}, Trailers: [][2]string{{"grpc-status", "0"}}},
			[]string{masked + " ghp_"},
			[][2]string{{"content-type", "application/grpc+proto"}},
			[][2]string{{"grpc-status", "0"}},
		},
		{
			"trailers that nobody announced",
			filtertest.Message{Body: []string{"a"}, Trailers: [][2]string{{"x-t", bearerKey}}},
			[]string{"a"},
			nil,
			[][2]string{{"x-t", masked}},
		},
		{
			"an answer that says it is not encoded",
			filtertest.Message{Headers: [][2]string{{"content-encoding", "identity"}}, Body: []string{"a"}},
			[]string{"a"},
			[][2]string{{"content-encoding", "identity"}},
			nil,
		},
		{
			"an encoded answer without a body",
			filtertest.Message{Headers: [][2]string{{"content-encoding", "gzip"}}},
			nil,
			[][2]string{{"content-encoding", "gzip"}},
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			r := filtertest.Run(w.plugin, bearerExchange(tt.in))
			checkClean(t, w, r)
			if r.Client == nil || r.Reply != nil {
				t.Fatalf("refused: %s", w.host.Logged())
			}
			want := filtertest.Message{Headers: append([][2]string{{":status", "200"}}, tt.headers...), Body: tt.want, Trailers: tt.trailers}
			if d := cmp.Diff(want, *r.Client); d != "" {
				t.Errorf("client got (-want +got):\n%s", d)
			}
		})
	}
}

func TestEveryFormIsRedacted(t *testing.T) {
	echo := func(r filtertest.Message) filtertest.Message {
		return filtertest.Message{Headers: [][2]string{{":status", "200"}, {"x-path", r.Header(":path")}}, Body: []string{fmt.Sprintf("%q", r.Headers), "\n", r.String()}}
	}
	for _, tt := range []struct{ target, credential, consumer string }{
		{"bearer", "c-bearer", "w1"}, {"header", "c-header", "w1"}, {"query", "c-query", "w1"}, {"basic", "c-basic", "w1"}, {"header", "c-own", "w2"},
	} {
		t.Run(tt.credential, func(t *testing.T) {
			w := newWorld(t)
			r := filtertest.Run(w.plugin, filtertest.Exchange{Request: request("/mcp"), Properties: allow(tt.consumer, tt.target, tt.credential), Upstream: echo})
			checkClean(t, w, r)
			if r.Client == nil || !strings.Contains(r.Client.Text(), "*****") {
				t.Errorf("client got %v", r.Client)
			}
			checkNoLeak(t, "the escaped answer", strings.NewReplacer("%20", " ", "%26", "&", "%3D", "=", "%3F", "?").Replace(r.Client.String()))
		})
	}
}

func TestAnswerIsRefused(t *testing.T) {
	tests := []struct {
		name  string
		in    filtertest.Message
		fail  map[string]error
		reset bool
	}{
		{"that is encoded", filtertest.Message{Headers: [][2]string{{"content-encoding", "gzip"}}, Body: []string{"x"}}, nil, false},
		{"that is encoded twice", filtertest.Message{Headers: [][2]string{{"content-encoding", "identity"}, {"content-encoding", "BR"}}, Body: []string{"x"}}, nil, false},
		{"whose body can't be read", filtertest.Message{Body: []string{"x"}}, map[string]error{"Body": errors.New("broken")}, true},
		{"whose body can't be replaced", filtertest.Message{Body: []string{bearerKey}}, map[string]error{"ReplaceBody": errors.New("broken")}, true},
		{"whose headers can't be replaced", filtertest.Message{Headers: [][2]string{{"x", bearerKey}}}, map[string]error{"AddHeader": errors.New("broken")}, false},
		{"whose end would be lost to trailers", filtertest.Message{Body: []string{"x ghp_"}, Trailers: [][2]string{{"x-t", "1"}}}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			e := bearerExchange(tt.in)
			e.Fail = tt.fail
			r := filtertest.Run(w.plugin, e)
			checkClean(t, w, r)
			if r.Reply == nil || r.Reply.Status != policies.AnswerRefused.Refusal().Status || r.Reset != tt.reset {
				t.Errorf("reply %v, reset %v", r.Reply, r.Reset)
			}
			if !strings.Contains(w.host.Logged(), "reason=answer_refused") {
				t.Errorf("logged %q", w.host.Logged())
			}
		})
	}
}

func TestAnswerWithoutAKeyIsNotTouched(t *testing.T) {
	w := newWorld(t)
	r := filtertest.Run(w.plugin, filtertest.Exchange{
		Request: request("/o"), Properties: allow("w1", "open", ""),
		Upstream: answer(filtertest.Message{Headers: [][2]string{{"content-encoding", "gzip"}}, Body: []string{bearerKey}}),
	})
	if r.Client == nil || r.Client.Text() != bearerKey || len(r.Stream.Calls) > 0 {
		t.Errorf("client got %v, calls %q", r.Client, r.Stream.Calls)
	}
}

func TestCleanAnswerIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	r := filtertest.Run(w.plugin, bearerExchange(filtertest.Message{Body: []string{"data: 1\n\n", "data: 2\n\n"}}))
	for _, call := range r.Stream.Calls {
		if strings.Contains(call, "response") {
			t.Errorf("calls %q", r.Stream.Calls)
		}
	}
}

// An old key is redacted to the end of a stream that began with it.
func TestRotationDuringAnAnswer(t *testing.T) {
	w := newWorld(t)
	e := bearerExchange(filtertest.Message{Body: []string{"k " + bearerKey}})
	e.Upstream = func(filtertest.Message) filtertest.Message {
		w.s.Credentials[0].Version = 2
		w.configure(t)
		return filtertest.Message{Headers: [][2]string{{":status", "200"}}, Body: []string{"k " + bearerKey}}
	}
	r := filtertest.Run(w.plugin, e)
	if r.Client == nil || r.Client.Text() != "k "+stars(len(bearerKey)) {
		t.Errorf("client got %v", r.Client)
	}
}

// The law: however an echoing upstream cuts its answer, no spelling of the key
// reaches the client, and nothing else changes.
func FuzzAnswer(f *testing.F) {
	w := newWorld(f)
	f.Add("before ", " after", uint8(3), false)
	f.Add("ghp_", "", uint8(1), true)
	f.Fuzz(func(t *testing.T, before, after string, size uint8, trailers bool) {
		if size == 0 || len(before)+len(after) > 1<<12 || strings.Contains(before+after, "CanaryBearer") {
			return
		}
		text := before + bearerKey + after + base64.StdEncoding.EncodeToString([]byte("u:"+bearerKey))
		m := filtertest.Message{}
		if trailers {
			m.Headers, m.Trailers = [][2]string{{"trailer", "t"}}, [][2]string{{"t", bearerKey}}
		}
		for rest := text; rest != ""; {
			n := min(int(size), len(rest))
			m.Body, rest = append(m.Body, rest[:n]), rest[n:]
		}
		r := filtertest.Run(w.plugin, bearerExchange(m))
		if len(r.Faults) > 0 || r.Client == nil {
			t.Fatalf("faults %q", r.Faults)
		}
		got := r.Client.Text()
		if strings.Contains(r.Client.String(), bearerKey) || len(got) != len(text) || !strings.HasPrefix(got, before) ||
			!strings.HasPrefix(got[len(before)+len(bearerKey):], after) {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func BenchmarkExchange(b *testing.B) {
	w := newWorld(b)
	for _, target := range []string{"bearer", "query"} {
		b.Run(target, func(b *testing.B) {
			properties := allow("w1", target, "c-"+target)
			b.ReportAllocs()
			for b.Loop() {
				s := filtertest.NewStream(request("/mcp?a=1", [2]string{"accept", "*/*"}, [2]string{"user-agent", "x"}).Headers...)
				s.Properties = properties
				h := w.plugin.NewStream(s)
				if h.RequestHeaders(true) != filter.Continue {
					b.Fatal("refused")
				}
				h.Done()
			}
		})
	}
}

// A handler is used again, and so must know nothing of the stream before it.
func TestAStreamBeginsWithoutAKey(t *testing.T) {
	w := newWorld(t)
	first := filtertest.NewStream(request("/mcp").Headers...)
	first.Properties = allow("w1", "bearer", "c-bearer")
	h := w.plugin.NewStream(first)
	if a := h.RequestHeaders(false); a != filter.Continue {
		t.Fatalf("action %v, replies %v", a, first.Replies)
	}
	h.ResponseHeaders(false)
	h.Done()

	second := filtertest.NewStream(request("/mcp").Headers...)
	h = w.plugin.NewStream(second)
	if a := h.RequestBody(1, true); a != filter.Hold {
		t.Errorf("a body before the headers: action %v", a)
	}
	if a := h.RequestHeaders(false); a != filter.Hold || len(second.Replies) != 1 {
		t.Errorf("without a verdict: action %v, replies %v", a, second.Replies)
	}
	if a := h.ResponseHeaders(false); a != filter.Continue || len(second.Replies) != 1 {
		t.Errorf("its refusal: action %v, replies %v", a, second.Replies)
	}
	h.Done()
}

func TestKeyIsPutWhereItsTargetSays(t *testing.T) {
	w := newWorld(t)
	s := snapshot.Inject{Form: snapshot.Bearer}
	for _, tt := range []struct {
		inject snapshot.Inject
		want   string
	}{
		{s, "Bearer " + bearerKey},
		{snapshot.Inject{Form: snapshot.Header, Name: "authorization", Prefix: "token "}, "token " + bearerKey},
		{s, "Bearer " + bearerKey},
	} {
		*w.s.Targets[0].Inject = tt.inject
		w.configure(t)
		for range 2 {
			r := filtertest.Run(w.plugin, filtertest.Exchange{Request: request("/mcp"), Properties: allow("w1", "bearer", "c-bearer")})
			if r.Upstream == nil || r.Upstream.Header("authorization") != tt.want {
				t.Errorf("%+v: upstream got %v", tt.inject, r.Upstream)
			}
		}
	}
}
