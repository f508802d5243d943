// Command agent is a Worker that does its job with nothing but its environment:
// it calls an MCP tool that it may, one that it may not, and asks a model. It
// writes what came of it as one line of JSON. It is a static binary for an empty
// image.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// A Result is what the agent writes.
type Result struct {
	Allowed, Denied, Chat string // answers, or what kept them away
}

func main() {
	var r Result
	mcp, auth, err := server()
	if err != nil {
		r.Allowed = err.Error()
	} else {
		r.Allowed = post(mcp, auth, call("echo"))
		r.Denied = post(mcp, auth, call("delete_everything"))
	}
	r.Chat = post(os.Getenv("OPENAI_BASE_URL")+"/chat/completions", "Bearer "+os.Getenv("OPENAI_API_KEY"),
		`{"model":"demo","messages":[{"role":"user","content":"hello there"}]}`)
	_ = json.NewEncoder(os.Stdout).Encode(r)
	for {
		time.Sleep(time.Hour)
	}
}

func call(tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"text":"hi"}}}`, tool)
}

// server is the one MCP server of the configuration that Workers get.
func server() (url, auth string, err error) {
	b, err := os.ReadFile(os.Getenv("KEYWARD_MCP_CONFIG"))
	if err != nil {
		return "", "", err
	}
	var c struct {
		MCPServers map[string]struct {
			URL     string
			Headers map[string]string
		}
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return "", "", err
	}
	for _, s := range c.MCPServers {
		return s.URL, s.Headers["Authorization"], nil
	}
	return "", "", fmt.Errorf("no server in %s", b)
}

// post returns status and answer. A gateway hears of a new Worker within a moment:
// what it does not know yet is asked again.
func post(url, auth, body string) string {
	var out string
	for range 50 {
		req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader([]byte(body)))
		if err != nil {
			return err.Error()
		}
		req.Header.Set("Authorization", auth)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		req.Header.Set("Mcp-Protocol-Version", "2025-06-18")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			out = err.Error()
		} else {
			b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
			res.Body.Close()
			out = fmt.Sprint(res.StatusCode, " ", string(b))
			if res.StatusCode != http.StatusUnauthorized {
				return out
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return out
}
