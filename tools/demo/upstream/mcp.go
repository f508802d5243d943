package upstream

import (
	"context"
	"fmt"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Names of the MCP server's tools, in the order in which it lists them.
const (
	ToolRead   = "issues.read"
	ToolCreate = "issues.create"
	ToolDelete = "repository.delete"
	ToolEcho   = "debug.headers"
)

type readArgs struct {
	Repository string `json:"repository" jsonschema:"owner/name of the repository"`
	Number     int    `json:"number" jsonschema:"number of the issue"`
}

type createArgs struct {
	Repository string `json:"repository" jsonschema:"owner/name of the repository"`
	Title      string `json:"title" jsonschema:"title of the issue"`
}

type deleteArgs struct {
	Repository string `json:"repository" jsonschema:"owner/name of the repository"`
}

// MCP is an MCP server at /, made with the official Go SDK; without sessions, so
// that it speaks every revision up to 2026-07-28. Its tools are those
// of a code host, and one that echoes the Authorization header it was sent: what
// a careless or hostile server does with a key.
func MCP(key string, count *Counter) http.Handler {
	h := mcp.NewStreamableHTTPHandler(func(r *http.Request) *mcp.Server {
		return server(r.Header.Get("Authorization"))
	}, &mcp.StreamableHTTPOptions{
		Stateless: true, JSONResponse: true,
		DisableLocalhostProtection: true, // Workers call the gateway by a name, and no browser has the key
	})
	return requireKey(key, count, h)
}

func server(authorization string) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "code-host", Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: ToolRead, Description: "Read an issue."},
		func(_ context.Context, _ *mcp.CallToolRequest, a readArgs) (*mcp.CallToolResult, any, error) {
			return say("%s#%d: the door is open", a.Repository, a.Number)
		})
	mcp.AddTool(s, &mcp.Tool{Name: ToolCreate, Description: "Open an issue."},
		func(_ context.Context, _ *mcp.CallToolRequest, a createArgs) (*mcp.CallToolResult, any, error) {
			return say("opened %q in %s", a.Title, a.Repository)
		})
	mcp.AddTool(s, &mcp.Tool{Name: ToolDelete, Description: "Delete a repository for good."},
		func(_ context.Context, _ *mcp.CallToolRequest, a deleteArgs) (*mcp.CallToolResult, any, error) {
			return say("deleted %s", a.Repository)
		})
	mcp.AddTool(s, &mcp.Tool{Name: ToolEcho, Description: "Show the credentials this server was sent."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return say("authorization: %s", authorization)
		})
	return s
}

func say(format string, a ...any) (*mcp.CallToolResult, any, error) {
	text := fmt.Sprintf(format, a...)
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
}
