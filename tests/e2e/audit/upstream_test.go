package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	nouns "keyward/manager"
	"keyward/policies"
)

// An upstream is an MCP server that remembers what it was asked.
type upstream struct {
	key, addr string
	mu        sync.Mutex
	seen      map[string]int // how often a tool was called
	refused   int            // requests without the real key
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{key: newKey(), seen: map[string]int{}}
	srv := httptest.NewServer(u)
	t.Cleanup(srv.Close)
	u.addr = srv.Listener.Addr().String()
	return u
}

func (u *upstream) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var m struct {
		ID     json.RawMessage `json:"id"`
		Params struct {
			Name string `json:"name"`
		} `json:"params"`
	}
	err := json.NewDecoder(r.Body).Decode(&m)
	u.mu.Lock()
	defer u.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+u.key || err != nil {
		u.refused++
		http.Error(rw, "this server takes its real key only", http.StatusTeapot)
		return
	}
	u.seen[m.Params.Name]++
	rw.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(rw, `{"jsonrpc":"2.0","id":%s,"result":{"content":[]}}`, m.ID)
}

// calls is how often a tool was called.
func (u *upstream) calls(tool string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.seen[tool]
}

// onlyOK allows calls of any tool whose argument ok is true.
var onlyOK = nouns.GrantSpec{
	Tools: []string{"*"}, Arguments: map[string]map[string][]json.RawMessage{"*": {"ok": {json.RawMessage("true")}}},
}

// callTime is longer than a request waits for its record.
const callTime = 20 * time.Second

// call calls a tool and returns what a Worker is answered.
func (w *world) call(ctx context.Context, c *http.Client, worker, target, tool string, ok bool) (string, error) {
	token, _ := w.tokens.Load(worker)
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"ok":%v}}}`, tool, ok)
	return w.post(ctx, c, *w.url.Load()+"/"+target, token.(string), body)
}

func (w *world) post(ctx context.Context, c *http.Client, url, token, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("MCP-Protocol-Version", "2025-11-25")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return string(b), err
}

func allowed(answer string) bool { return strings.Contains(answer, `"result"`) }

func denied(answer string, reason policies.Reason) bool {
	return strings.Contains(answer, `"error"`) && strings.Contains(answer, `"`+string(reason)+`"`)
}
