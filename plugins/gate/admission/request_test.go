package admission

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"keyward/plugins/token"
	"keyward/policies"
)

func newToken(t *testing.T) string {
	t.Helper()
	tok, err := token.New(strings.NewReader(strings.Repeat("k", 64)))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestConsumerToken(t *testing.T) {
	tok := newToken(t)
	other, err := token.New(strings.NewReader(strings.Repeat("o", 64)))
	if err != nil {
		t.Fatal(err)
	}
	basic := func(userinfo string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(userinfo))
	}
	tests := []struct {
		name    string
		headers [][2]string
		want    policies.Reason
	}{
		{"bearer", [][2]string{{"authorization", "Bearer " + tok}}, policies.ReasonNone},
		{"bearer in another case", [][2]string{{"authorization", "bEARER " + tok}}, policies.ReasonNone},
		{"password of basic", [][2]string{{"authorization", basic("git:" + tok)}}, policies.ReasonNone},
		{"x-api-key", [][2]string{{"x-api-key", tok}}, policies.ReasonNone},
		{"api-key", [][2]string{{"api-key", tok}}, policies.ReasonNone},
		{"x-goog-api-key", [][2]string{{"x-goog-api-key", tok}}, policies.ReasonNone},
		{"the same token in two headers", [][2]string{{"authorization", "Bearer " + tok}, {"x-api-key", tok}}, policies.ReasonNone},
		{"none", nil, policies.TokenMissing},
		{"an empty bearer", [][2]string{{"authorization", "Bearer "}}, policies.TokenMissing},
		{"an empty key", [][2]string{{"x-api-key", ""}}, policies.TokenMissing},
		{"two tokens", [][2]string{{"authorization", "Bearer " + tok}, {"x-api-key", other}}, policies.TokenAmbiguous},
		{"a token and another key", [][2]string{{"authorization", "Bearer " + tok}, {"x-api-key", "sk-1"}}, policies.TokenAmbiguous},
		{"one header twice", [][2]string{{"authorization", "Bearer " + tok}, {"authorization", "Bearer " + tok}}, policies.TokenAmbiguous},
		{"a joined header", [][2]string{{"authorization", "Bearer " + tok + ",Bearer " + other}}, policies.TokenMalformed},
		{"a real key", [][2]string{{"authorization", "Bearer sk-real"}}, policies.TokenMalformed},
		{"a mistyped token", [][2]string{{"authorization", "Bearer " + tok[:len(tok)-1] + "!"}}, policies.TokenMalformed},
		{"another scheme", [][2]string{{"authorization", "Digest " + tok}}, policies.TokenMalformed},
		{"no scheme", [][2]string{{"authorization", tok}}, policies.TokenMalformed},
		{"basic that is no base64", [][2]string{{"authorization", "Basic !!!"}}, policies.TokenMalformed},
		{"basic without a password", [][2]string{{"authorization", basic(tok)}}, policies.TokenMalformed},
		{"the token as user name", [][2]string{{"authorization", basic(tok + ":x")}}, policies.TokenMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := readRequest(tt.headers, new(room))
			if !ok {
				if tt.want != policies.TokenAmbiguous {
					t.Fatalf("readRequest refused, want %q", tt.want)
				}
				return
			}
			got, reason := consumerToken(r.credentials)
			if reason != tt.want || (reason == policies.ReasonNone) != (got == tok) {
				t.Errorf("consumerToken = %q, %q, want reason %q", got, reason, tt.want)
			}
			for _, h := range tt.headers {
				if !slices.Contains(r.strip, h[0]) {
					t.Errorf("%s would reach the upstream", h[0])
				}
			}
		})
	}
}

func TestLookAlikesAreRemoved(t *testing.T) {
	tok := newToken(t)
	for _, name := range []string{
		"x-mse-consumer", "x-hi-original-auth", "x-envoy-allow-mcp-tools", "x-envoy-jsonrpc-method", "x-envoy-mcp-tool-name",
		"x-keyward-verdict", "x-keyward-", "x-higress-llm-model", "x-mcp-toolname", "x-forwarded-host", "x-forwarded-user",
		"x-original-url", "x-http-method-override", "cookie", "proxy-authorization", "accept-encoding",
	} {
		if !removed(name, "v") {
			t.Errorf("%s is passed on", name)
		}
	}
	for _, name := range []string{"accept", "content-type", "mcp-session-id", "mcp-protocol-version", "user-agent", "x-request-id", "x-forwarded-for", "traceparent"} {
		if removed(name, "v") {
			t.Errorf("%s is removed", name)
		}
	}
	for _, name := range []string{"x_mse_consumer", "x-mse_consumer", "x_keyward_verdict", "x_api_key"} {
		if !removed(name, "v") {
			t.Errorf("%q goes on, and CGI reads it with hyphens", name)
		}
	}
	if !removed("x-note", "my token is "+tok) {
		t.Error("a header that carries a consumer token is passed on")
	}
	for _, name := range []string{"authorization", "x-api-key", "x-mse-consumer"} {
		if !removedTrailer(name, "v") {
			t.Errorf("trailer %s is passed on", name)
		}
	}
}

func TestTunnelsAreUpgrades(t *testing.T) {
	for _, h := range [][2]string{
		{"upgrade", "websocket"}, {"connection", "keep-alive, Upgrade"}, {"http2-settings", "AAMAAABk"}, {":protocol", "websocket"}, {":method", "CONNECT"},
	} {
		if r, ok := readRequest([][2]string{h}, new(room)); !ok || !r.upgrade {
			t.Errorf("%q asks for no tunnel", h)
		}
	}
	if r, _ := readRequest([][2]string{{":method", "POST"}, {"connection", "keep-alive"}}, new(room)); r.upgrade {
		t.Error("a plain request asks for a tunnel")
	}
}
