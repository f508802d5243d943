package e2e_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/tests/testenv"
)

// stateful are the servers that have sessions.
var stateful = slices.DeleteFunc(slices.Clone(servers), func(s server) bool { return s.name == "go-stateless" })

// TestSessions opens sessions at real servers, goes on with them at every gateway
// and after a restart, and tries each as another consumer with the same grants.
func TestSessions(t *testing.T) {
	testenv.Heavy(t, "real servers")
	w := newWorld(t)
	addMCP(t, w)
	w.snapshot.SessionKey = []byte(rand.Text() + rand.Text())[:snapshot.SessionKeyBytes]
	other := w.addConsumer(t, "other")
	embedded, envoy := startEmbedded(t, w), startEnvoy(t, w)
	sessions := map[string]*session{}
	for _, s := range stateful {
		t.Run(s.name, func(t *testing.T) {
			own := open(t, s, embedded, w.token)
			others := open(t, s, envoy, other)
			sessions[s.name] = own
			for name, g := range map[string]*gateway{"embedded": embedded, "envoy": envoy} {
				t.Run(name, func(t *testing.T) { own.holdsAt(t, g, other, others.id) })
			}
		})
	}
	again := startEnvoy(t, w)
	for _, s := range stateful {
		if own := sessions[s.name]; own != nil {
			if got := own.call(t, again, w.token, own.id); got.status != http.StatusOK || !strings.Contains(got.body, s.answer) {
				t.Errorf("%s: after a restart the session is answered %d %.200s", s.name, got.status, got.body)
			}
		}
	}
}

// addConsumer adds one that may do what the worker may, and returns its token.
func (w *world) addConsumer(t *testing.T, id string) string {
	t.Helper()
	tok, err := token.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	digest := token.Digest(tok)
	c := w.snapshot.Consumers[0]
	c.ID, c.Tokens = id, []snapshot.Token{{ID: "first", SHA256: hex.EncodeToString(digest[:])}}
	w.snapshot.Consumers = append(w.snapshot.Consumers, c)
	w.secrets = append(w.secrets, tok)
	return tok
}

// patience bounds an exchange; a stream without the answer runs into it.
const patience = time.Minute

// A session is one at a server, as its consumer has it.
type session struct {
	server
	token string
	id    string
}

// said is an answer: of a stream what came until the tool's.
type said struct {
	status int
	header http.Header
	body   string
	event  string // ID of the first event
}

// open begins a session.
func open(t *testing.T, s server, g *gateway, token string) *session {
	t.Helper()
	own := &session{server: s, token: token}
	got := own.send(t, g, token, http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"e2e","version":"1"}}}`)
	if own.id = got.header.Get("Mcp-Session-Id"); got.status != http.StatusOK || own.id == "" {
		t.Fatalf("initialize is answered %d, session %q, %.200s", got.status, own.id, got.body)
	}
	got = own.send(t, g, token, http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, "Mcp-Session-Id", own.id)
	if got.status != http.StatusAccepted {
		t.Fatalf("initialized is answered %d %.200s", got.status, got.body)
	}
	return own
}

// holdsAt checks that the session is its consumer's at a gateway, and nobody
// else's. others is a session of the other consumer's own.
func (s *session) holdsAt(t *testing.T, g *gateway, other, others string) {
	_, raw, _ := strings.Cut(s.id, ".")
	tries := []struct {
		name, token, method string
		headers             []string
		want                int
		has                 string
	}{
		{"a call in its own", s.token, http.MethodPost, []string{"Mcp-Session-Id", s.id}, 200, s.answer},
		{"the other's own", other, http.MethodPost, []string{"Mcp-Session-Id", others}, 200, s.answer},
		{"a call in another's", other, http.MethodPost, []string{"Mcp-Session-Id", s.id}, 404, "unknown_session"},
		{"another's stream", other, http.MethodGet, []string{"Mcp-Session-Id", s.id}, 404, "unknown_session"},
		{"the end of another's", other, http.MethodDelete, []string{"Mcp-Session-Id", s.id}, 404, "unknown_session"},
		{"a call in the server's", other, http.MethodPost, []string{"Mcp-Session-Id", raw}, 404, "unknown_session"},
		{"the end of the server's", other, http.MethodDelete, []string{"Mcp-Session-Id", raw}, 404, "unknown_session"},
		{"a call in its own, by the server's name", s.token, http.MethodPost, []string{"Mcp-Session-Id", raw}, 404, "unknown_session"},
		{"another's, under a MAC of its own", other, http.MethodPost, []string{"Mcp-Session-Id", others[:len(others)-len(strings.SplitN(others, ".", 2)[1])] + raw}, 404, "unknown_session"},
	}
	event := s.call(t, g, s.token, s.id).event
	if event != "" { // the Go SDK's server gives none
		tries = append(tries, []struct {
			name, token, method string
			headers             []string
			want                int
			has                 string
		}{
			{"going on from another's event", other, http.MethodGet, []string{"Mcp-Session-Id", others, "Last-Event-Id", event}, 400, "unknown_event"},
			{"the same, by the server's name", other, http.MethodGet, []string{"Mcp-Session-Id", others, "Last-Event-Id", event[strings.IndexByte(event, '.')+1:]}, 400, "unknown_event"},
			{"going on from its own", s.token, http.MethodGet, []string{"Mcp-Session-Id", s.id, "Last-Event-Id", event}, 200, s.answer},
		}...)
	}
	if s.name == "npm" && event == "" {
		t.Error("this server's events have no ID")
	}
	for _, try := range tries {
		body := ""
		if try.method == http.MethodPost {
			body = s.body(t)
		}
		got := s.send(t, g, try.token, try.method, body, try.headers...)
		if got.status != try.want || !strings.Contains(got.body, try.has) {
			t.Errorf("%s: %d %.200s, want %d %s", try.name, got.status, got.body, try.want, try.has)
		}
	}
	if got := s.call(t, g, s.token, s.id); got.status != http.StatusOK || !strings.Contains(got.body, s.answer) {
		t.Errorf("after all that the session is answered %d %.200s", got.status, got.body)
	}
}

// call calls the allowed tool.
func (s *session) call(t *testing.T, g *gateway, token, id string) said {
	t.Helper()
	return s.send(t, g, token, http.MethodPost, s.body(t), "Mcp-Session-Id", id)
}

func (s *session) body(t *testing.T) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": map[string]any{"name": s.allowed, "arguments": s.arguments},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *session) send(t *testing.T, g *gateway, token, method, body string, headers ...string) said {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.url+"/mcp/"+s.name, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	accept := "text/event-stream"
	if method == http.MethodPost {
		accept = "application/json, text/event-stream"
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := said{status: res.StatusCode, header: res.Header}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok && got.event == "" {
			got.event = id
		}
		got.body += lines.Text() + "\n"
		if strings.Contains(got.body, s.answer) {
			break // a stream goes on for ever
		}
	}
	return got
}
