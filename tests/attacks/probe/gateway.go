package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// A Real is what there is behind a gateway that decides. It comes beside
// [World].
type Real struct {
	Other   string // consumer id of another Worker
	Room    string // Matrix room of that one
	Manager string // Matrix room of the Manager
	Made    string // a well-formed token that nobody was given
	Session string // another consumer's MCP session at /mcp/desk
	Event   string // of a stream in it
}

// throughWays are the ways out through the gateway that is allowed. The probe may
// call the tool issues.read at /mcp, and read and speak in its room at /_matrix.
var throughWays = []way{
	{"without a token", say(http.MethodPost, "/mcp", body(granted), "")},
	{"with a token that nobody was given", func(w World) error { return send(w, http.MethodPost, "/mcp", body(granted), "Bearer "+w.Real.Made) }},
	{"with its token twice, once in a query", func(w World) error {
		return send(w, http.MethodPost, "/mcp?access_token="+own(), body(granted), bearer())
	}},
	{"with its token and another", say(http.MethodPost, "/mcp", body(granted), "own", "X-Api-Key", "kwt_another")},
	{"as another Worker, by Higress' header", asOther(http.MethodPost, "/v1/chat/completions", `{"model":"demo","messages":[]}`)},
	{"a model that was not granted", say(http.MethodPost, "/v1/chat/completions", `{"model":"demo","messages":[]}`, "own")},
	{"a tool that was not granted", say(http.MethodPost, "/mcp", body("repository.delete"), "own")},
	{"that tool, with Envoy's header of allowed ones", say(http.MethodPost, "/mcp", body("repository.delete"), "own", "X-Envoy-Allow-Mcp-Tools", "repository.delete")},
	{"that tool, named twice", say(http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"issues.read","name":"repository.delete","arguments":{}}}`, "own")},
	{"that tool, in a batch", say(http.MethodPost, "/mcp", "["+body("repository.delete")+"]", "own")},
	{"that tool, with the body encoded", say(http.MethodPost, "/mcp", body("repository.delete"), "own", "Content-Encoding", "identity, gzip")},
	{"the Manager's API by its path", say(http.MethodGet, "/v1/consumers", "", "own")},
	{"the Manager's channel for gateways", say(http.MethodGet, "/gateway/v1/changes?since=x.1", "", "own")},
	{"the gateway's own configuration", say(http.MethodGet, "/config_dump", "", "own")},
	{"the gateway's metrics", say(http.MethodGet, "/metrics", "", "own")},
	{"another path by dots", say(http.MethodGet, "/_matrix/client/v3/rooms/../account/whoami", "", "own")},
	{"another path by encoded dots", say(http.MethodGet, "/_matrix/client/v3/rooms/%2e%2e/account/whoami", "", "own")},
	{"another path by an encoded slash", say(http.MethodGet, "/_matrix/client/v3/rooms%2f..%2faccount/whoami", "", "own")},
	{"the homeserver's administration", say(http.MethodGet, "/_synapse/admin/v1/users", "", "own")},
	{"another Matrix token by a log-in", say(http.MethodPost, "/_matrix/client/v3/login", `{"type":"m.login.password"}`, "own")},
	{"another Matrix token from its own", say(http.MethodPost, "/_matrix/client/v1/login/get_token", `{}`, "own")},
	{"its devices, and so its Matrix tokens", say(http.MethodGet, "/_matrix/client/v3/devices", "", "own")},
	{"a Matrix account of its own making", say(http.MethodPost, "/_matrix/client/v3/register", `{"auth":{"type":"m.login.dummy"}}`, "own")},
	{"the end of its Matrix token", say(http.MethodPost, "/_matrix/client/v3/logout", `{}`, "own")},
	{"another Worker's room", room(http.MethodGet, other, "/messages?dir=b", "")},
	{"another Worker's room, to speak in", room(http.MethodPut, other, "/send/m.room.message/t1", `{"msgtype":"m.text","body":"hello"}`)},
	{"the Manager's room", room(http.MethodGet, managers, "/messages?dir=b", "")},
	{"a command in the Manager's room", room(http.MethodPut, managers, "/send/m.room.message/t2", `{"msgtype":"m.text","body":"!keyward status"}`)},
	{"power in a room", room(http.MethodPut, managers, "/state/m.room.power_levels", `{"users_default":100}`)},
	{"a websocket", say(http.MethodGet, "/mcp", "", "own", "Connection", "Upgrade", "Upgrade", "websocket")},
	{"HTTP/2 by an upgrade", say(http.MethodGet, "/mcp", "", "own", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAAP__")},
	{"the gateway as a proxy, by CONNECT", raw("CONNECT 127.0.0.1:8700 HTTP/1.1\r\nHost: 127.0.0.1:8700\r\nProxy-Authorization: TOKEN\r\n\r\n")},
	{"the gateway as a proxy, by an absolute URL", raw("GET http://127.0.0.1:8700/v1/consumers HTTP/1.1\r\nHost: 127.0.0.1:8700\r\nAuthorization: TOKEN\r\nConnection: close\r\n\r\n")},
	{"two requests that look like one", smuggle},
	{"another's MCP session", desk(http.MethodPost, body(granted), stolen)},
	{"another's MCP session, to list its tools", desk(http.MethodPost, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, stolen)},
	{"another's MCP session, to begin it again", desk(http.MethodPost, begin, stolen)},
	{"another's MCP session, to cancel its work", desk(http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, stolen)},
	{"another's MCP session, to hear its stream", desk(http.MethodGet, "", stolen)},
	{"another's MCP session, to end it", desk(http.MethodDelete, "", stolen)},
	{"that session by the server's name", desk(http.MethodPost, body(granted), func(r *Real) []string { return []string{"Mcp-Session-Id", bare(r.Session)} })},
	{"its end, by a header that CGI reads alike", desk(http.MethodDelete, "", func(r *Real) []string { return []string{"Mcp_Session_Id", bare(r.Session)} })},
	{"that session in the newest revision, which has none", desk(http.MethodPost, body(granted), func(r *Real) []string {
		return append(stolen(r), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", granted)
	})},
	{"another's events, in a session of its own", replay(func(r *Real) string { return r.Event })},
	{"those events by the server's name", replay(func(r *Real) string { return bare(r.Event) })},
}

const granted = "issues.read"

// begin is how an MCP session begins.
const begin = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"probe","version":"1"}}}`

// body is a call of a tool.
func body(tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":{"repository":"acme/site","number":7}}}`, tool)
}

func own() string { return os.Getenv("KEYWARD_TOKEN") }

func bearer() string { return "Bearer " + own() }

func other(r *Real) string    { return r.Room }
func managers(r *Real) string { return r.Manager }

// say sends a request with its own token, or without any for an empty auth.
func say(method, path, body, auth string, headers ...string) func(World) error {
	return func(w World) error {
		if auth != "" {
			auth = bearer()
		}
		return send(w, method, path, body, auth, headers...)
	}
}

func asOther(method, path, body string) func(World) error {
	return func(w World) error {
		return send(w, method, path, body, bearer(), "X-Mse-Consumer", w.Real.Other, "X-Keyward-Consumer", w.Real.Other)
	}
}

func room(method string, of func(*Real) string, path, body string) func(World) error {
	return func(w World) error {
		return send(w, method, "/_matrix/client/v3/rooms/"+url.PathEscape(of(w.Real))+path, body, bearer())
	}
}

// send is open when it is answered with success: 2xx, and no JSON-RPC error.
func send(w World, method, path, body, auth string, headers ...string) error {
	res, err := answer(w, method, path, body, auth, headers...)
	if err != nil {
		return err
	}
	return success(res)
}

func answer(w World, method, path, body, auth string, headers ...string) (*http.Response, error) {
	target, err := url.Parse(w.Gateway)
	if err != nil {
		return nil, err
	}
	// Not parsed again: dots and escapes are to go out as they are.
	p, query, _ := strings.Cut(path, "?")
	target.Opaque, target.RawQuery = "//"+target.Host+p, query
	req := &http.Request{
		Method: method, URL: target, Host: target.Host, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	for k, v := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-06-18",
	} {
		req.Header.Set(k, v)
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	c := http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c.Do(req)
}

func success(res *http.Response) error {
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	var rpc struct{ Error json.RawMessage }
	switch {
	case err != nil:
		return err
	case res.StatusCode >= 300 || res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("%d %.80s", res.StatusCode, bytes.TrimSpace(b))
	case json.Unmarshal(b, &rpc) == nil && rpc.Error != nil:
		return fmt.Errorf("%d %.80s", res.StatusCode, rpc.Error)
	}
	return nil
}

// raw sends bytes as they are. TOKEN stands for its own.
func raw(text string) func(World) error {
	return func(w World) error {
		_, err := exchange(w, text)
		return err
	}
}

func exchange(w World, text string) (rest *bufio.Reader, err error) {
	host, port := gatewayHost(w)
	c, err := net.DialTimeout("tcp", net.JoinHostPort(host, fmt.Sprint(port)), patience)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(5 * time.Second)) // the process is short-lived, and so is c
	if _, err := io.WriteString(c, strings.ReplaceAll(text, "TOKEN", bearer())); err != nil {
		return nil, err
	}
	rest = bufio.NewReader(c)
	res, err := http.ReadResponse(rest, nil)
	if err != nil {
		return nil, err
	}
	return rest, success(res)
}

// smuggle is open when the second request, which hides in the first one's body,
// is answered.
func smuggle(w World) error {
	hidden := "GET /_matrix/client/v3/devices HTTP/1.1\r\nHost: gateway\r\nAuthorization: TOKEN\r\n\r\n"
	text := "0\r\n\r\n" + hidden
	rest, err := exchange(w, fmt.Sprintf("PUT /_matrix/client/v3/rooms/x/send/m.room.message/t3 HTTP/1.1\r\nHost: gateway\r\nAuthorization: TOKEN\r\n"+
		"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%s", len(strings.ReplaceAll(text, "TOKEN", bearer())), text))
	if rest == nil {
		return errors.Join(errors.New("the first is not answered"), err)
	}
	res, err := http.ReadResponse(rest, nil)
	if err != nil {
		return err
	}
	return success(res)
}

// controlThrough checks the twins of these attempts: what the probe may do.
func controlThrough(w World) string {
	var err error
	for range 100 { // the gateway hears of it within a moment
		if err = send(w, http.MethodPost, "/mcp", body(granted), bearer()); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err == nil {
		err = send(w, http.MethodGet, "/_matrix/client/v3/joined_rooms", "", bearer())
	}
	if err == nil { // in a session of its own
		var id string
		if id, err = session(w); err == nil {
			err = send(w, http.MethodPost, "/mcp/desk", body(granted), bearer(), "Mcp-Session-Id", id)
		}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
