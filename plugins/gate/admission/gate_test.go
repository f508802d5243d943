package admission_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/gate/admission"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/plugins/verdict"
	"keyward/policies"
	"keyward/policies/compile"
)

// now is the time of every decision here, Unix seconds.
const now = 1_800_000_000

// newToken is the same token for the same seed.
func newToken(t *testing.T, seed string) string {
	t.Helper()
	tok, err := token.New(bytes.NewReader([]byte(strings.Repeat(seed, 64))))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func digest(tok string) string {
	d := token.Digest(tok)
	return hex.EncodeToString(d[:])
}

// program is policy.rego as the gateway runs it.
func program(t *testing.T) []byte {
	t.Helper()
	src, err := os.ReadFile("../../../policy.rego")
	if err != nil {
		t.Fatal(err)
	}
	r, err := compile.Compile(compile.Source{Modules: map[string]string{"policy.rego": string(src)}}, compile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Program
}

// snapshotOf is a worker with this token, and what it may.
func snapshotOf(t *testing.T, tok string) *snapshot.Snapshot {
	t.Helper()
	return &snapshot.Snapshot{
		Format: snapshot.Format, Epoch: "e1", Generation: 7,
		Policy:     &snapshot.Policy{Version: "v1", Program: program(t)},
		SessionKey: sessionKey,
		Targets: []snapshot.Target{
			{ID: "code", Kind: policies.KindMCP, Match: []snapshot.Match{{Path: "/mcp"}}},
			{ID: "llm", Kind: policies.KindLLM, Match: []snapshot.Match{{Path: "/v1"}}},
		},
		Consumers: []snapshot.Consumer{{
			ID: "worker", Kind: "worker", State: snapshot.Active,
			Tokens: []snapshot.Token{{ID: "t1", SHA256: digest(tok)}},
			Grants: []snapshot.Grant{
				{Target: "code", Grant: policies.Grant{ID: "g1", Tools: []string{"read"}}},
				{Target: "code", Grant: policies.Grant{ID: "g2", Tools: []string{"delete"}, Expires: now}},
				{Target: "llm", Grant: policies.Grant{ID: "g3", Paths: []string{"/v1/chat"}}},
			},
		}},
	}
}

func newGate(t *testing.T, tok string) (filter.Plugin, *filtertest.Host) {
	t.Helper()
	host := &filtertest.Host{Time: now * 1e9}
	g := admission.New(host)
	if err := g.Configure([]byte(`{"snapshot":` + string(snapshot.Encode(snapshotOf(t, tok))) + `}`)); err != nil {
		t.Fatal(err)
	}
	return g, host
}

func post(tok, body string) filtertest.Message {
	return filtertest.Message{
		Headers: [][2]string{
			{":method", "POST"},
			{":path", "/mcp"},
			{":authority", "gw"},
			{"authorization", "Bearer " + tok},
			{"content-type", "application/json"},
			{"mcp-protocol-version", "2025-11-25"},
			{"x-mse-consumer", "admin"},
		},
		Body: []string{body[:len(body)/2], body[len(body)/2:]},
	}
}

func call(tool string) string {
	return `{"jsonrpc":"2.0","id":"a-1","method":"tools/call","params":{"name":"` + tool + `","arguments":{}}}`
}

func TestAllowedCallGoesOnWithoutTheToken(t *testing.T) {
	tok := newToken(t, "k")
	g, host := newGate(t, tok)
	r := filtertest.Run(g, filtertest.Exchange{Request: post(tok, call("read"))})
	if r.Upstream == nil || len(r.Faults) > 0 {
		t.Fatalf("not admitted: %+v, log %q", r, host.Logged())
	}
	if strings.Contains(r.Upstream.String(), tok) || r.Upstream.Header("authorization") != "" {
		t.Errorf("the consumer token reached the upstream: %s", r.Upstream)
	}
	if got := r.Upstream.Header("x-mse-consumer"); got != "worker" {
		t.Errorf("x-mse-consumer = %q, want the consumer alone", got)
	}
	v, err := verdict.Decode([]byte(r.Stream.Properties[verdict.Property]))
	if err != nil || v.Consumer != "worker" || v.Target != "code" || v.Generation != 7 || len(v.Decision) != 26 {
		t.Errorf("verdict = %+v, %v", v, err)
	}
}

func TestAnswerToACallPassesAsEvents(t *testing.T) {
	const events = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n" +
		"data: {\"jsonrpc\":\"2.0\",\"id\":\"a-1\",\"result\":{\"content\":[]}}\n\n"
	tok := newToken(t, "k")
	g, host := newGate(t, tok)
	r := filtertest.Run(g, filtertest.Exchange{
		Request: post(tok, call("read")),
		Upstream: func(filtertest.Message) filtertest.Message {
			return filtertest.Message{
				Headers: [][2]string{{":status", "200"}, {"content-type", "text/event-stream"}},
				Body:    []string{events[:30], events[30:]},
			}
		},
	})
	if r.Client == nil || r.Reset || r.Client.Text() != events {
		t.Errorf("the client got %v, log %q, want %q", r.Client, host.Logged(), events)
	}
}

func TestDeniedCallNeverReachesTheUpstream(t *testing.T) {
	tok := newToken(t, "k")
	for _, tool := range []string{"write", "delete", "Read", "read ", "*"} {
		g, host := newGate(t, tok)
		r := filtertest.Run(g, filtertest.Exchange{Request: post(tok, call(tool))})
		if r.Upstream != nil || r.Client == nil || len(r.Faults) > 0 {
			t.Fatalf("%q: %+v", tool, r)
		}
		var got struct {
			ID    string
			Error struct {
				Code int
				Data struct{ Reason, Decision string }
			}
		}
		if err := json.Unmarshal([]byte(r.Client.Text()), &got); err != nil {
			t.Fatal(err)
		}
		if got.ID != "a-1" || got.Error.Code <= 0 || got.Error.Data.Reason != "not_granted" || got.Error.Data.Decision == "" {
			t.Errorf("%q: error = %+v", tool, got)
		}
		if log := host.Logged(); !strings.Contains(log, "not_granted") || strings.Contains(log, tok) {
			t.Errorf("%q: log = %q", tool, log)
		}
	}
}

func TestATokenInAnArgumentIsRefused(t *testing.T) {
	tok := newToken(t, "k")
	for _, spelt := range []string{tok, `\u006b` + tok[1:]} {
		g, _ := newGate(t, tok)
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"a":["x",{"b":"my token: ` + spelt + `"}]}}}`
		r := filtertest.Run(g, filtertest.Exchange{Request: post(tok, body)})
		if r.Upstream != nil || !strings.Contains(r.Client.Text(), "token_misplaced") {
			t.Errorf("got %+v", r)
		}
	}
}

func TestTheServersOwnStreamIsFiltered(t *testing.T) {
	tok := newToken(t, "k")
	g, _ := newGate(t, tok)
	m := post(tok, "")
	m.Headers[0][1], m.Body = "GET", nil
	m.Headers = append(m.Headers, [2]string{"last-event-id", event("1")})
	r := filtertest.Run(g, filtertest.Exchange{Request: m, Upstream: func(filtertest.Message) filtertest.Message {
		return filtertest.Message{
			Headers: [][2]string{{":status", "200"}, {"content-type", "text/event-stream"}},
			Body:    []string{`data: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"delete"},{"name":"read"}]}}` + "\n\n"},
		}
	}})
	if r.Client == nil || strings.Contains(r.Client.Text(), "delete") || !strings.Contains(r.Client.Text(), "read") {
		t.Errorf("a resumed list is not filtered: %+v", r.Client)
	}
}

func TestListShowsOnlyWhatMayBeCalled(t *testing.T) {
	tok := newToken(t, "k")
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	const answer = `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"delete"},{"name":"read"},{"name":"write"}]}}`
	const want = `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read"}]}}`
	tests := []struct{ name, media, body, want string }{
		{"as one document", "application/json", answer, want},
		{"as an event stream", "text/event-stream", "data: " + answer + "\n\n", "data: " + want + "\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, _ := newGate(t, tok)
			r := filtertest.Run(g, filtertest.Exchange{Request: post(tok, list), Upstream: func(filtertest.Message) filtertest.Message {
				return filtertest.Message{
					Headers: [][2]string{{":status", "200"}, {"content-type", tt.media}, {"content-length", "999"}},
					Body:    []string{tt.body[:20], tt.body[20:]},
				}
			}})
			if r.Client == nil || r.Client.Text() != tt.want || len(r.Faults) > 0 {
				t.Errorf("got %+v, want %s", r, tt.want)
			}
			if r.Client.Header("content-length") != "" {
				t.Error("content-length of the longer body is kept")
			}
		})
	}
}

func TestAnswerThatCannotBeCheckedIsWithheld(t *testing.T) {
	tok := newToken(t, "k")
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	tests := []struct{ name, media, encoding, body string }{
		{"a compressed list", "application/json", "gzip", "\x1f\x8b"},
		{"a list as plain text", "text/plain", "", `{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"delete"}]}}`},
		{"the answer to another request", "application/json", "", `{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"delete"}]}}`},
		{"an answer that has its tools twice", "application/json", "", `{"jsonrpc":"2.0","id":1,"result":{"tools":[],"tools":[{"name":"delete"}]}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, _ := newGate(t, tok)
			r := filtertest.Run(g, filtertest.Exchange{Request: post(tok, list), Upstream: func(filtertest.Message) filtertest.Message {
				h := [][2]string{{":status", "200"}, {"content-type", tt.media}}
				if tt.encoding != "" {
					h = append(h, [2]string{"content-encoding", tt.encoding})
				}
				return filtertest.Message{Headers: h, Body: []string{tt.body}}
			}})
			if r.Client == nil || strings.Contains(r.Client.Text(), "delete") || !strings.Contains(r.Client.Text(), "answer_refused") {
				t.Errorf("the client got %+v", r.Client)
			}
		})
	}
}

func TestLLMRequestIsDecidedFromItsHeaders(t *testing.T) {
	tok := newToken(t, "k")
	request := func(path string) filtertest.Message {
		m := post(tok, `{"not":"looked at"}`)
		m.Headers[1][1] = path
		return m
	}
	g, _ := newGate(t, tok)
	if r := filtertest.Run(g, filtertest.Exchange{Request: request("/v1/chat/completions")}); r.Upstream == nil {
		t.Errorf("a granted path is refused: %+v", r.Client)
	}
	r := filtertest.Run(g, filtertest.Exchange{Request: request("/v1/files")})
	if r.Upstream != nil || r.Client.Header(":status") != "403" || !strings.Contains(r.Client.Text(), "permission_error") {
		t.Errorf("a path without a grant: %+v", r)
	}
}

func TestGateWithoutASnapshotDeniesEverything(t *testing.T) {
	tok := newToken(t, "k")
	g := admission.New(&filtertest.Host{})
	if err := g.Configure([]byte(`{"snapshot":{"format":"other"}}`)); err == nil {
		t.Fatal("a bad snapshot is accepted")
	}
	r := filtertest.Run(g, filtertest.Exchange{Request: post(tok, call("read"))})
	if r.Upstream != nil || r.Client.Header(":status") != "503" || !strings.Contains(r.Client.Text(), "no_snapshot") {
		t.Errorf("got %+v", r.Client)
	}
}

func TestBadConfigurationKeepsTheLastGoodOne(t *testing.T) {
	tok := newToken(t, "k")
	g, _ := newGate(t, tok)
	if g.Configure([]byte(`{"snapshot":{}}`)) == nil {
		t.Fatal("a bad snapshot is accepted")
	}
	if r := filtertest.Run(g, filtertest.Exchange{Request: post(tok, call("read"))}); r.Upstream == nil {
		t.Errorf("the last good snapshot is gone: %+v", r.Client)
	}
}

func TestAFailingHostDenies(t *testing.T) {
	tok := newToken(t, "k")
	for _, method := range []string{"Headers", "Body", "SetHeader", "RemoveHeader", "SetProperty"} {
		g, _ := newGate(t, tok)
		r := filtertest.Run(g, filtertest.Exchange{
			Request: post(tok, call("read")),
			Fail:    map[string]error{method: os.ErrInvalid},
		})
		if r.Upstream != nil || len(r.Faults) > 0 {
			t.Errorf("%s fails: the request went on", method)
		}
	}
}
