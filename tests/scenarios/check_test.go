package scenarios_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"keyward/policies"
)

// check compares what became of a row's request with what it wants.
type check struct {
	t       *testing.T
	w       *World
	row     *Row
	want    *Want
	request request
}

// answer checks what the client got.
func (c *check) answer(x *Exchange) {
	t, want := c.t, c.want
	if x.Status != want.Status {
		t.Errorf("status %d, want %d; body %.300q", x.Status, want.Status, x.Body)
	}
	if (x.Cut != nil) != want.Cut {
		t.Errorf("answer is cut: %v, want %v", x.Cut, want.Cut)
	}
	if want.Reason != "" && c.request.method != http.MethodHead {
		c.reason(x.Body)
	}
	for name, value := range want.Headers {
		c.header("answer", x.Header, name, value)
	}
	body := string(x.Body)
	if want.Body != nil && body != string(want.Body.bytes(c.w.fill)) {
		t.Errorf("body = %.400q\nwant %.400q", body, want.Body.bytes(c.w.fill))
	}
	for _, s := range want.Has {
		if !strings.Contains(body, c.w.fill(s)) {
			t.Errorf("body lacks %q: %.400q", s, body)
		}
	}
	for _, s := range want.Lacks {
		if strings.Contains(body, c.w.fill(s)) {
			t.Errorf("body holds %q: %.400q", s, body)
		}
	}
	tokens, keys := c.w.leaks(fmt.Sprint(x.Header, x.Trailer, body))
	if len(tokens)+len(keys) > 0 {
		t.Errorf("the client is shown the tokens of %q and the keys of %q", tokens, keys)
	}
}

// told is a refusal as any client may read it: RFC 9457, JSON-RPC or the error
// object of LLM providers.
type told struct {
	ID     json.RawMessage `json:"id"`
	Reason string          `json:"reason"`
	Title  string          `json:"title"`
	Error  *struct {
		Code    json.RawMessage `json:"code"`
		Message string          `json:"message"`
		Data    struct {
			Reason   string `json:"reason"`
			Decision string `json:"decision"`
		} `json:"data"`
	} `json:"error"`
	Decision string `json:"decision"`
}

// reason checks the reason code, the sentence that goes with it, and the ID.
func (c *check) reason(body []byte) {
	t := c.t
	var got told
	if err := json.Unmarshal(body, &got); err != nil {
		t.Errorf("refusal is no JSON: %v: %.300q", err, body)
		return
	}
	reason, title, decision := got.Reason, got.Title, got.Decision
	if got.Error != nil {
		title = got.Error.Message
		if got.Error.Data.Reason != "" {
			reason, decision = got.Error.Data.Reason, got.Error.Data.Decision
		}
	}
	refusal := policies.Reason(c.want.Reason).Refusal()
	if reason != c.want.Reason || title != refusal.Title {
		t.Errorf("refusal says %q, %q, want %q, %q", reason, title, c.want.Reason, refusal.Title)
	}
	if len(decision) != 26 {
		t.Errorf("refusal has the decision ID %q, want a ULID", decision)
	}
	switch {
	case c.want.ID == nil && got.ID != nil:
		t.Errorf("refusal is a JSON-RPC error, want none: %.300q", body)
	case c.want.ID == nil:
	case !bytes.Equal(got.ID, c.want.ID):
		t.Errorf("id = %s, want %s", got.ID, c.want.ID)
	case got.Error == nil || string(got.Error.Code) != fmt.Sprint(refusal.RPCCode):
		t.Errorf("refusal has not the code %d: %.300q", refusal.RPCCode, body)
	}
}

func (c *check) header(of string, h http.Header, name string, want *string) {
	got := h.Values(name)
	switch {
	case want == nil && len(got) > 0:
		c.t.Errorf("%s has %s: %q, want none", of, name, got)
	case want != nil && (len(got) == 0 || got[0] != c.w.fill(*want)):
		c.t.Errorf("%s has %s: %q, want %q", of, name, got, c.w.fill(*want))
	}
}

// upstream checks what the upstream saw.
func (c *check) upstream(records []*Record, x *Exchange) {
	t, want := c.t, c.want.Upstream
	for _, r := range records {
		c.secrets(r)
	}
	switch {
	case want == nil && len(records) > 0:
		t.Fatalf("the upstream saw %s, want nothing", records[0].URI)
	case want == nil:
		return
	case len(records) != 1:
		t.Fatalf("the upstream saw %d requests, want 1", len(records))
	}
	r := records[0]
	if c.held() && r.First.Before(x.Sent) {
		t.Errorf("the upstream saw the first byte %v before the client had sent the last", x.Sent.Sub(r.First))
	}
	path, body := c.request.path, c.request.body
	if want.Path != "" {
		path = c.w.fill(want.Path)
	}
	if want.Body != nil {
		body = want.Body.pieces(c.w.fill)
	}
	if r.URI != path {
		t.Errorf("the upstream saw %q, want %q", r.URI, path)
	}
	if !bytes.Equal(r.Body, join(body)) {
		t.Errorf("the upstream saw a body of %d bytes, want the %d that were sent: %.200q", len(r.Body), length(body), r.Body)
	}
	for name, value := range want.Headers {
		c.header("upstream", r.Header, name, value)
	}
	for name, value := range want.Trailers {
		c.header("upstream's trailers", r.Trailer, name, value)
	}
}

// held reports whether the verdict needs the whole body.
func (c *check) held() bool {
	return c.request.method == http.MethodPost &&
		(strings.HasPrefix(c.request.path, "/mcp") || strings.HasPrefix(c.request.path, "/api/strict"))
}

// secrets checks that the upstream was shown no consumer token, and no real key
// but its own.
func (c *check) secrets(r *Record) {
	all := fmt.Sprint(r.URI, r.Header, r.Trailer, string(r.Body))
	for _, v := range r.Header.Values("Authorization") {
		if b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(v, "Basic ")); err == nil {
			all += string(b)
		}
	}
	tokens, keys := c.w.leaks(all)
	if len(tokens) > 0 {
		c.t.Errorf("the upstream saw the tokens of %q", tokens)
	}
	foreign := slices.DeleteFunc(keys, func(key string) bool { return credentials[key] == r.Cluster && c.own(key) })
	if len(foreign) > 0 {
		c.t.Errorf("the upstream saw the keys of %q", foreign)
	}
}

// own reports whether a key may go to where the row's request is sent.
func (c *check) own(key string) bool {
	if credentials[key] != "api" {
		return true
	}
	return strings.HasPrefix(c.request.path, "/api/"+key) || key == "owners" && strings.HasPrefix(c.request.path, "/api/bearer")
}

func join(pieces []piece) []byte {
	var all []byte
	for _, p := range pieces {
		all = append(all, p.data...)
	}
	return all
}
