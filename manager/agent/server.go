// Package agent lets agents administer, within limits: it serves a part of the
// Manager's API as an MCP server (streamable HTTP, without sessions) that stands
// behind the gateway like any other.
//
// What an agent may do is decided three times. The policy decides each call, as
// it does for every MCP server: an agent without a grant sees no tool. The admin
// token that key-swap puts in has a role, which the API checks. And there is no
// tool here that shows a token or a credential, publishes a policy, or touches
// the audit log, whatever the policy says.
//
// # Its own grants
//
// No agent changes what it may do itself: who asks is told by the gateway in
// x-mse-consumer, which gate removes from what clients send. A call without it
// changes no grant.
package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"keyward/manager"
	"keyward/manager/client"
)

// ConsumerHeader is where the gateway says who asks.
const ConsumerHeader = "X-Mse-Consumer"

// maxBody bounds a request, in bytes.
const maxBody = 1 << 20

// errOwn and errUnknown refuse a change of grants.
var (
	errOwn     = errors.New("no agent changes its own grants")
	errUnknown = errors.New("the gateway does not say who asks, so no grant is changed")
)

// New returns the server. Calls go to api with the caller's own admin token.
func New(api http.Handler, log *slog.Logger) http.Handler {
	s := &server{http: &http.Client{Transport: inProcess{api}}}
	m := mcp.NewServer(&mcp.Implementation{Name: "keyward", Version: "1"}, &mcp.ServerOptions{
		Instructions: "Administers Keyward: who may use what behind the gateway. No tool shows a token or a key.",
		Logger:       log,
	})
	s.register(m)
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return m }, &mcp.StreamableHTTPOptions{
		Stateless: true, JSONResponse: true, Logger: log, DisableLocalhostProtection: true, // a web page has no admin token to rebind with
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if manager.Bearer(r.Header.Values("Authorization")) == "" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="keyward"`)
			http.Error(w, "reach this server through the gateway, which puts an admin token in", http.StatusUnauthorized)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		h.ServeHTTP(w, r)
	})
}

type server struct{ http *http.Client }

// client calls the API as the caller of a tool.
func (s *server) client(r *mcp.CallToolRequest) (*client.Client, error) {
	return client.New("http://manager.invalid", manager.Bearer(r.Extra.Header.Values("Authorization")), client.Options{HTTP: s.http})
}

// mayGrant refuses a change of what consumer may do to consumer itself.
func mayGrant(r *mcp.CallToolRequest, consumer string) error {
	switch who := r.Extra.Header.Values(ConsumerHeader); {
	case len(who) != 1 || who[0] == "":
		return errUnknown
	case who[0] == consumer:
		return errOwn
	default:
		return nil
	}
}

// tool adds a tool to the server. It calls the API for whoever asks.
func tool[In, Out any](s *server, m *mcp.Server, name, description string, call func(context.Context, *mcp.CallToolRequest, *client.Client, In) (Out, error)) {
	mcp.AddTool(m, &mcp.Tool{Name: name, Description: description},
		func(ctx context.Context, r *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
			c, err := s.client(r)
			if err != nil {
				var none Out
				return nil, none, err
			}
			out, err := call(ctx, r, c, in)
			return nil, out, err
		})
}
