package upstream_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"keyward/tools/demo/upstream"
)

const key = "sk-real-key-of-this-test"

// bearer sends key with every request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

func TestMCPListsItsToolsForTheRealKeyOnly(t *testing.T) {
	var count upstream.Counter
	srv := httptest.NewServer(upstream.MCP(key, &count))
	defer srv.Close()
	connect := func(k string) (*mcp.ClientSession, error) {
		c := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
		return c.Connect(context.Background(), &mcp.StreamableClientTransport{
			Endpoint: srv.URL, HTTPClient: &http.Client{Transport: bearer(k)}, MaxRetries: -1,
		}, nil)
	}
	if _, err := connect("wrong"); err == nil {
		t.Fatal("the wrong key is accepted")
	}
	s, err := connect(key)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.ListTools(context.Background(), nil)
	if err != nil || len(list.Tools) != 4 {
		t.Fatalf("ListTools = %v, %v, want 4 tools", list, err)
	}
	if count.Refused.Load() == 0 || count.Accepted.Load() == 0 {
		t.Errorf("counted %d accepted and %d refused", count.Accepted.Load(), count.Refused.Load())
	}
}

func TestLLM(t *testing.T) {
	srv := httptest.NewServer(upstream.LLM(key, &upstream.Counter{}))
	defer srv.Close()
	tests := []struct {
		name, key, body, want string
		status                int
	}{
		{"a chat is answered", key, `{"model":"parrot-1","messages":[{"role":"user","content":"hi"}]}`, "You said: hi", 200},
		{"a streamed chat ends with DONE", key, `{"stream":true,"messages":[{"role":"user","content":"hi"}]}`, "data: [DONE]", 200},
		{"another key is refused", "kwt_x", `{"messages":[{"role":"user","content":"hi"}]}`, "real key only", 401},
		{"no messages are refused", key, `{}`, "needs messages", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &http.Client{Transport: bearer(tt.key)}
			resp, err := c.Post(srv.URL+"/v1/chat/completions", "application/json", strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || !strings.Contains(string(got), tt.want) {
				t.Errorf("answer = %d %q, %v, want %d with %q", resp.StatusCode, got, err, tt.status, tt.want)
			}
		})
	}
}
