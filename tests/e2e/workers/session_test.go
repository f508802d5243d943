package workers_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tools/demo/upstream"
)

const deskPath = "/mcp/desk"

// desk is an MCP server that has sessions, and keeps its events for who comes back.
func desk(key string) http.Handler {
	s := mcp.NewServer(&mcp.Implementation{Name: "desk", Version: "1"}, nil)
	s.AddTool(&mcp.Tool{Name: upstream.ToolRead, InputSchema: map[string]any{"type": "object"}}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "the door is open"}}}, nil
	})
	h := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{
		EventStore: mcp.NewMemoryEventStore(nil), DisableLocalhostProtection: true,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != key {
			http.Error(w, "this server accepts its real key only", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// deskTarget is the desk behind the gateway, with the key of the server beside it.
func deskTarget() manager.NewTarget {
	return manager.NewTarget{ID: "desk", TargetSpec: manager.TargetSpec{
		Kind: policies.KindMCP, Credential: "github", Match: []snapshot.Match{{Route: "mcp", Path: deskPath}},
		Upstream: snapshot.Upstream{Clusters: []string{"mcp"}}, Inject: &snapshot.Inject{Form: snapshot.Bearer},
	}}
}

// A victim is a consumer with a session at the desk.
type victim struct {
	*world
	token, id, event string
}

// newVictim makes one that works.
func (w *world) newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{world: w}
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		if _, err := tx.CreateTarget(ctx, deskTarget()); err != nil {
			return err
		}
		if _, err := tx.CreateConsumer(ctx, manager.ConsumerSpec{ID: "victim", Kind: "service"}); err != nil {
			return err
		}
		issued, err := tx.IssueToken(ctx, manager.TokenSpec{Consumer: "victim"})
		if err != nil {
			return err
		}
		v.token = issued.Secret
		_, err = tx.CreateGrant(ctx, manager.NewGrant{Consumer: "victim", Target: "desk", GrantSpec: deskGrant})
		return err
	})
	w.until(t, "the victim has a session", func() error {
		res, err := v.send(t, `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"victim","version":"1"}}}`)
		if err == nil {
			res.Body.Close()
			v.id = res.Header.Get("Mcp-Session-Id")
		}
		if v.id == "" {
			return fmt.Errorf("initialize is answered %v, %v", res, err)
		}
		return nil
	})
	v.works(t)
	if v.event == "" {
		t.Fatal("the events of the victim's session have no ID")
	}
	return v
}

var deskGrant = manager.GrantSpec{Tools: []string{upstream.ToolRead}}

// works checks that the session is still the victim's.
func (v *victim) works(t *testing.T) {
	t.Helper()
	res, err := v.send(t, `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"issues.read","arguments":{}}}`)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok && v.event == "" {
			v.event = id
		}
		if strings.Contains(lines.Text(), "the door is open") {
			return
		}
	}
	t.Errorf("the victim's session is answered %s", res.Status)
}

func (v *victim) send(t *testing.T, body string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+v.address+deskPath, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"Authorization": {"Bearer " + v.token}, "Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Mcp-Protocol-Version": {"2025-11-25"},
	}
	if v.id != "" {
		req.Header.Set("Mcp-Session-Id", v.id)
	}
	return http.DefaultClient.Do(req)
}
