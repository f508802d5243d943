package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"keyward/tools/demo/upstream"
)

// A worker is an agent's client: it knows the gateway and its token, no more.
type worker struct {
	gateway string // base URL
	token   string
	http    *http.Client
}

// maxAnswer bounds what the worker reads of an answer, in bytes.
const maxAnswer = 1 << 20

func newWorker(gateway, token string) *worker {
	return &worker{gateway: gateway, token: token, http: &http.Client{Timeout: 30 * time.Second}}
}

// bearer sends the token with every request of the MCP client.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// connect opens an MCP session with the official Go SDK.
func (w *worker) connect(ctx context.Context) (*mcp.ClientSession, error) {
	c := mcp.NewClient(&mcp.Implementation{Name: "researcher", Version: "1"}, nil)
	return c.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:             w.gateway + mcpPath,
		HTTPClient:           &http.Client{Transport: bearer(w.token)},
		MaxRetries:           -1,
		DisableStandaloneSSE: true,
	}, nil)
}

// tools are the names of the tools that the worker is shown.
func tools(ctx context.Context, s *mcp.ClientSession) ([]string, error) {
	list, err := s.ListTools(ctx, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range list.Tools {
		names = append(names, t.Name)
	}
	return names, nil
}

// call calls a tool and returns its text.
func call(ctx context.Context, s *mcp.ClientSession, tool string, arguments map[string]any) (string, error) {
	r, err := s.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return "", err
	}
	if r.IsError || len(r.Content) != 1 {
		return "", fmt.Errorf("tool %s answered with an error", tool)
	}
	text, ok := r.Content[0].(*mcp.TextContent)
	if !ok {
		return "", fmt.Errorf("tool %s answered without text", tool)
	}
	return text.Text, nil
}

// denied returns the reason code of a JSON-RPC error that refused a call.
func denied(err error) (reason string, ok bool) {
	var e *jsonrpc.Error
	if !errors.As(err, &e) {
		return "", false
	}
	var data struct{ Reason string }
	if json.Unmarshal(e.Data, &data) != nil || e.Code <= 0 {
		return "", false
	}
	return data.Reason, data.Reason != ""
}

// chat asks the LLM one question and returns status and answer.
func (w *worker) chat(ctx context.Context, question string) (int, string, error) {
	body, err := json.Marshal(map[string]any{
		"model":    upstream.Model,
		"messages": []any{map[string]any{"role": "user", "content": question}},
	})
	if err != nil {
		return 0, "", err
	}
	return w.post(ctx, w.gateway+llmPath+"/chat/completions", w.token, body)
}

// post sends a request with a bearer token, or without one for "".
func (w *worker) post(ctx context.Context, url, token string, body []byte) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, string(b), err
}
