package mcp

import (
	"strings"
	"testing"

	"keyward/policies"
)

func TestCheckHeaders(t *testing.T) {
	json := [2]string{"content-type", "application/json"}
	version := [2]string{"mcp-protocol-version", "2025-11-25"}
	session := [2]string{"mcp-session-id", "8c1f-22"}
	newest := Settings{Revisions: []string{"2026-07-28"}}
	type headers = [][2]string
	tests := []struct {
		name     string
		method   string // "": POST
		bodyless bool   // for a POST; a GET or DELETE has none unless withBody
		withBody bool
		headers  headers
		settings Settings
		want     policies.Reason
		allow    string
	}{
		{name: "a plain POST", headers: headers{json}},
		{name: "the charset may be named", headers: headers{{"content-type", "application/json; charset=utf-8"}}},
		{name: "the charset may be named in capitals", headers: headers{{"content-type", "application/json;charset=UTF-8"}}},
		{name: "another charset", headers: headers{{"content-type", "application/json; charset=utf-16"}}, want: policies.MediaType},
		{name: "another parameter", headers: headers{{"content-type", "application/json; x"}}, want: policies.MediaType},
		{name: "the charset and more", headers: headers{{"content-type", "application/json; charset=utf-8; x=y"}}, want: policies.MediaType},
		{name: "odd case", headers: headers{{"content-type", "Application/JSON"}}, want: policies.MediaType},
		{name: "odd spaces", headers: headers{{"content-type", " application/json"}}, want: policies.MediaType},
		{name: "a longer type", headers: headers{{"content-type", "application/json-seq"}}, want: policies.MediaType},
		{name: "no type", want: policies.MediaType},
		{name: "plain text", headers: headers{{"content-type", "text/plain"}}, want: policies.MediaType},
		{name: "an octet stream", headers: headers{{"content-type", "application/octet-stream"}}, want: policies.MediaType},
		{name: "gRPC", headers: headers{{"content-type", "application/grpc"}}, want: policies.MediaType},
		{name: "the type twice", headers: headers{json, json}, want: policies.MediaType},
		{name: "two types in one header", headers: headers{{"content-type", "application/json,text/plain"}}, want: policies.MediaType},

		{name: "gzip", headers: headers{json, {"content-encoding", "gzip"}}, want: policies.Encoding},
		{name: "identity", headers: headers{json, {"content-encoding", "identity"}}, want: policies.Encoding},
		{name: "an empty encoding", headers: headers{json, {"content-encoding", ""}}, want: policies.Encoding},
		{name: "a stack of encodings", headers: headers{json, {"content-encoding", "br"}, {"content-encoding", "x"}}, want: policies.Encoding},

		{name: "a websocket", headers: headers{json, {"connection", "Upgrade"}, {"upgrade", "websocket"}}, want: policies.UpgradeRefused},
		{name: "h2c", headers: headers{json, {"upgrade", "h2c"}}, want: policies.UpgradeRefused},
		{name: "an upgrade by Connection alone", headers: headers{json, {"connection", "keep-alive, upgrade"}}, want: policies.UpgradeRefused},
		{name: "extended CONNECT", method: "CONNECT", headers: headers{{":protocol", "websocket"}}, want: policies.UpgradeRefused},
		{name: "keep-alive", headers: headers{json, {"connection", "keep-alive"}}},

		{name: "a foreign origin", headers: headers{json, {"origin", "https://evil.test"}}, want: policies.OriginForbidden},
		{name: "the null origin", headers: headers{json, {"origin", "null"}}, want: policies.OriginForbidden},
		{name: "an empty origin", headers: headers{json, {"origin", ""}}, want: policies.OriginForbidden},
		{name: "a listed origin", headers: headers{json, {"origin", "https://ui.test"}}, settings: Settings{Origins: []string{"https://ui.test"}}},
		{name: "a listed origin with another port", headers: headers{json, {"origin", "https://ui.test:8443"}}, settings: Settings{Origins: []string{"https://ui.test"}}, want: policies.OriginForbidden},
		{name: "two origins", headers: headers{json, {"origin", "https://ui.test"}, {"origin", "https://ui.test"}}, settings: Settings{Origins: []string{"https://ui.test"}}, want: policies.OriginForbidden},

		{name: "a POST without a body", bodyless: true, headers: headers{json}, want: policies.BodyMissing},
		{name: "a session ID", headers: headers{json, session}},
		{name: "a session ID with a space", headers: headers{json, {"mcp-session-id", "a b"}}, want: policies.InvalidRequest},
		{name: "an empty session ID", headers: headers{json, {"mcp-session-id", ""}}, want: policies.InvalidRequest},
		{name: "a session ID beyond ASCII", headers: headers{json, {"mcp-session-id", "é"}}, want: policies.InvalidRequest},
		{name: "an overlong session ID", headers: headers{json, {"mcp-session-id", strings.Repeat("x", 1025)}}, want: policies.InvalidRequest},
		{name: "two session IDs", headers: headers{json, session, session}, want: policies.InvalidRequest},
		{name: "an overlong name", headers: headers{json, {"mcp-name", strings.Repeat("x", policies.MaxHeaderBytes+1)}}, want: policies.HeaderMismatch},
		{name: "too many parameters", headers: append(headers{json}, params(33)...), want: policies.HeaderMismatch},
		{name: "many parameters", headers: append(headers{json}, params(32)...)},

		{name: "GET opens the stream", method: "GET", headers: headers{version, session}},
		{name: "GET with a content type, as some clients send it", method: "GET", headers: headers{json, version, session}},
		{name: "GET without a session", method: "GET", headers: headers{version}},
		{name: "GET without the revision", method: "GET", headers: headers{session}, want: policies.Revision},
		{name: "GET with an unknown revision", method: "GET", headers: headers{{"mcp-protocol-version", "2024-11-05"}}, want: policies.Revision},
		{name: "GET under 2026-07-28", method: "GET", headers: headers{{"mcp-protocol-version", "2026-07-28"}}, want: policies.MethodForbidden, allow: "POST"},
		{name: "GET at a target without sessions", method: "GET", headers: headers{version}, settings: newest, want: policies.MethodForbidden, allow: "POST"},
		{name: "GET with a body", method: "GET", withBody: true, headers: headers{version}, want: policies.InvalidRequest},
		{name: "DELETE ends the session", method: "DELETE", headers: headers{version, session}},
		{name: "DELETE without a session", method: "DELETE", headers: headers{version}, want: policies.InvalidRequest},
		{name: "DELETE under 2026-07-28", method: "DELETE", headers: headers{{"mcp-protocol-version", "2026-07-28"}, session}, want: policies.MethodForbidden, allow: "POST"},
		{name: "PUT", method: "PUT", headers: headers{json, version}, want: policies.MethodForbidden, allow: "GET, POST, DELETE"},
		{name: "post in lower case", method: "post", headers: headers{json}, want: policies.MethodForbidden, allow: "GET, POST, DELETE"},
		{name: "HEAD", method: "HEAD", headers: headers{version}, want: policies.MethodForbidden, allow: "GET, POST, DELETE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method, end := tt.method, tt.bodyless
			if method == "" {
				method = "POST"
			}
			if method != "POST" {
				end = !tt.withBody
			}
			m, f := checkHeaders(method, end, tt.headers, tt.settings)
			checkFault(t, f, tt.want, "")
			if f != nil {
				if f.Allow != tt.allow {
					t.Errorf("Allow = %q, want %q", f.Allow, tt.allow)
				}
				return
			}
			want := map[string]policies.MCPKind{"GET": policies.MCPStream, "DELETE": policies.MCPEnd}[method]
			if m.Kind != want {
				t.Errorf("kind = %q, want %q", m.Kind, want)
			}
			if want != "" && (m.Class != ByRule || m.Revision != R20251125) {
				t.Errorf("message = %+v", m)
			}
		})
	}
}

func checkHeaders(method string, end bool, list [][2]string, s Settings) (Message, *Fault) {
	h, f := ReadHeaders(list)
	if f != nil {
		return Message{}, f
	}
	return CheckHeaders(method, end, &h, s)
}

func params(n int) [][2]string {
	var list [][2]string
	for i := range n {
		list = append(list, [2]string{"mcp-param-" + strings.Repeat("x", i+1), "1"})
	}
	return list
}
