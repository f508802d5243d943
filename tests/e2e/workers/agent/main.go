// Command agent is a Worker that does its job with nothing but its environment:
// it calls an MCP tool that it may, one that it may not, asks a model, and speaks in
// its room, if it has one. It writes what came of it as one line of JSON. It is a
// static binary for an empty image.
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// A Result is what the agent writes.
type Result struct {
	Allowed, Denied, Chat, Room string // answers, or what kept them away
}

func main() {
	if len(os.Args) > 1 {
		unwell(os.Args[1])
	}
	var r Result
	mcp, auth, err := server()
	if err != nil {
		r.Allowed = err.Error()
	} else {
		r.Allowed = call(http.MethodPost, mcp, auth, tool("echo"))
		r.Denied = call(http.MethodPost, mcp, auth, tool("delete_everything"))
	}
	r.Chat = call(http.MethodPost, os.Getenv("OPENAI_BASE_URL")+"/chat/completions", "Bearer "+os.Getenv("OPENAI_API_KEY"),
		`{"model":"demo","messages":[{"role":"user","content":"hello there"}]}`)
	r.Room = speak(os.Getenv("HICLAW_MATRIX_URL"), "Bearer "+os.Getenv("KEYWARD_TOKEN"), "hello from the container")
	_ = json.NewEncoder(os.Stdout).Encode(r)
	for {
		time.Sleep(time.Hour)
	}
}

func tool(name string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"text":"hi"}}}`, name)
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

// speak says something in the Worker's room, the one that it is in.
func speak(matrix, auth, text string) string {
	out := call(http.MethodGet, matrix+"/_matrix/client/v3/joined_rooms", auth, "")
	var joined struct {
		Rooms []string `json:"joined_rooms"`
	}
	if _, body, _ := strings.Cut(out, " "); json.Unmarshal([]byte(body), &joined) != nil || len(joined.Rooms) != 1 {
		return out
	}
	return call(http.MethodPut, matrix+"/_matrix/client/v3/rooms/"+url.PathEscape(joined.Rooms[0])+"/send/m.room.message/"+rand.Text(), auth,
		fmt.Sprintf(`{"msgtype":"m.text","body":%q}`, text))
}

// call returns status and answer. A gateway hears of a new Worker within a moment:
// what it does not know yet is asked again.
func call(method, url, auth, body string) string {
	var out string
	for range 50 {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
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
