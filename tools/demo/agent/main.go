// Command agent is a Worker that does its job with nothing but its environment: it
// lists its tools, calls one that it may and one that it may not, asks for the key
// that it was sent with, asks a model, and speaks in its room and keeps a file, if
// it has them. It writes what came of each as a line of JSON. It is a static binary
// for an empty image.
package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// A Deed is a line of what the agent writes.
type Deed struct {
	Deed string `json:"deed"`
	Said string `json:"said"` // the answer, or what kept it away
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 1 << 20

func main() {
	out := json.NewEncoder(os.Stdout)
	for _, d := range []struct {
		name string
		do   func() (string, error)
	}{
		{"tools", tools},
		{"allowed", tool("issues.read", `{"repository":"acme/site","number":7}`)},
		{"denied", tool("repository.delete", `{"repository":"acme/site"}`)},
		{"echo", tool("debug.headers", `{}`)},
		{"chat", chat},
		{"room", speak},
		{"file", keep},
	} {
		said, err := d.do()
		if err != nil {
			said = "error: " + err.Error()
		}
		if err := out.Encode(Deed{d.name, said}); err != nil {
			os.Exit(1)
		}
	}
	_ = out.Encode(Deed{Deed: "done"}) // nobody else could be told
	for {
		time.Sleep(time.Hour)
	}
}

func tools() (string, error) {
	var r struct{ Tools []struct{ Name string } }
	if err := rpc("tools/list", `{}`, &r); err != nil {
		return "", err
	}
	var names []string
	for _, t := range r.Tools {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", "), nil
}

func tool(name, arguments string) func() (string, error) {
	return func() (string, error) {
		var r struct{ Content []struct{ Text string } }
		if err := rpc("tools/call", fmt.Sprintf(`{"name":%q,"arguments":%s}`, name, arguments), &r); err != nil {
			return "", err
		}
		if len(r.Content) == 0 {
			return "", errors.New("no content")
		}
		return r.Content[0].Text, nil
	}
}

// rpc calls the one MCP server of the configuration that Workers get.
func rpc(method, params string, result any) error {
	b, err := os.ReadFile(os.Getenv("KEYWARD_MCP_CONFIG"))
	if err != nil {
		return err
	}
	var c struct {
		MCPServers map[string]struct {
			URL     string
			Headers map[string]string
		}
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	for _, s := range c.MCPServers {
		var answer struct {
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		err := call(http.MethodPost, s.URL, s.Headers["Authorization"], fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params), &answer)
		if err == nil && answer.Error != nil {
			err = errors.New(answer.Error.Message)
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(answer.Result, result)
	}
	return errors.New("no MCP server")
}

func chat() (string, error) {
	var r struct {
		Choices []struct{ Message struct{ Content string } }
	}
	err := call(http.MethodPost, os.Getenv("OPENAI_BASE_URL")+"/chat/completions", "Bearer "+os.Getenv("OPENAI_API_KEY"),
		`{"model":"demo","messages":[{"role":"user","content":"hello there"}]}`, &r)
	if err == nil && len(r.Choices) == 0 {
		err = errors.New("no choice")
	}
	if err != nil {
		return "", err
	}
	return r.Choices[0].Message.Content, nil
}

// speak says something in the one room that the Worker is in.
func speak() (string, error) {
	matrix, auth := os.Getenv("HICLAW_MATRIX_URL")+"/_matrix/client/v3/", "Bearer "+os.Getenv("KEYWARD_TOKEN")
	var joined struct {
		Rooms []string `json:"joined_rooms"`
	}
	if err := call(http.MethodGet, matrix+"joined_rooms", auth, "", &joined); err != nil {
		return "", err
	}
	if len(joined.Rooms) != 1 {
		return "", fmt.Errorf("it is in %d rooms", len(joined.Rooms))
	}
	const text = "hello from the container"
	var sent struct {
		Event string `json:"event_id"`
	}
	err := call(http.MethodPut, matrix+"rooms/"+url.PathEscape(joined.Rooms[0])+"/send/m.room.message/"+rand.Text(), auth,
		fmt.Sprintf(`{"msgtype":"m.text","body":%q}`, text), &sent)
	return text, err
}

// keep writes a file of its own, unless that is there, and reads it.
func keep() (string, error) {
	const text = "what the Worker wrote"
	gateway, auth := os.Getenv("KEYWARD_GATEWAY"), "Bearer "+os.Getenv("KEYWARD_TOKEN")
	name := gateway + "/files/workers/" + os.Getenv("KEYWARD_WORKER") + "/notes.md"
	var l link
	if err := call(http.MethodPut, name, auth, fmt.Sprintf(`{"size":%d,"create":true}`, len(text)), &l); err != nil {
		return "", err
	}
	if status, b, err := l.follow(gateway, auth, text); err != nil || status != http.StatusOK && status != http.StatusPreconditionFailed {
		return "", fmt.Errorf("%d %.200s, %w", status, b, err)
	}
	var found struct{ Link link }
	if err := call(http.MethodGet, name, auth, "", &found); err != nil {
		return "", err
	}
	status, b, err := found.Link.follow(gateway, auth, "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d %.200s", status, b)
	}
	return string(b), err
}

// A link does one thing to one object.
type link struct {
	Method, URL string
	Headers     map[string]string
}

func (l link) follow(gateway, auth, body string) (status int, answer []byte, err error) {
	req, err := http.NewRequest(l.Method, gateway+l.URL, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for k, v := range l.Headers {
		req.Header.Set(k, v)
	}
	req.Header.Set("Authorization", auth)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, b, err
}

// call reads a JSON answer. A gateway hears of a new Worker within a moment: what
// it does not know yet is asked again.
func call(method, url, auth, body string, answer any) error {
	var last error
	for range 100 {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", auth)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		req.Header.Set("Mcp-Protocol-Version", "2025-06-18")
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			var b []byte
			b, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer))
			res.Body.Close()
			if err == nil && res.StatusCode == http.StatusOK {
				return json.Unmarshal(b, answer)
			}
			last = fmt.Errorf("%s: %.200s", res.Status, b)
			if res.StatusCode != http.StatusUnauthorized {
				return last
			}
		} else {
			last = err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return last
}
