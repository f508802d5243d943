package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// withToken sends the consumer token with every request.
type withToken string

func (tok withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(tok))
	return http.DefaultTransport.RoundTrip(r)
}

// goClient is the official Go SDK.
func goClient(t *testing.T, url, token string, s server) report {
	t.Helper()
	ctx := t.Context()
	c := mcp.NewClient(&mcp.Implementation{Name: "e2e", Version: "1"}, nil)
	session, err := c.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint: url, HTTPClient: &http.Client{Transport: withToken(token)},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	r := report{Revision: session.InitializeResult().ProtocolVersion}
	tools, err := session.ListTools(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools.Tools {
		r.Tools = append(r.Tools, tool.Name)
	}
	call := func(tool string) (string, error) {
		res, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: s.arguments})
		if err != nil {
			return "", err
		}
		text, _ := res.Content[0].(*mcp.TextContent)
		return text.Text, nil
	}
	if r.Answer, err = call(s.allowed); err != nil {
		t.Fatal(err)
	}
	_, err = call(s.denied)
	var refused *jsonrpc.Error
	if !errors.As(err, &refused) {
		t.Fatalf("the denied call ends with %v, want a JSON-RPC error", err)
	}
	r.Denied.Code, r.Denied.Message = int(refused.Code), refused.Message
	if err := json.Unmarshal(refused.Data, &r.Denied.Data); err != nil {
		t.Fatal(err)
	}
	if r.After, err = call(s.allowed); err != nil {
		t.Fatal(err)
	}
	if r.Revision < "2026-07-28" { // from then on there is no ping
		if err := session.Ping(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	return r
}
