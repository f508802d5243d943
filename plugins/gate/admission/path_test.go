package admission

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/plugins/token"
	"keyward/policies"
)

func TestLocate(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
		ok       bool
	}{
		{"a plain path", "/mcp-servers/github", []string{"mcp-servers", "github"}, true},
		{"the root", "/", nil, true},
		{"a trailing slash ends no segment", "/mcp/", []string{"mcp"}, true},
		{"a query is not part of the path", "/git/a.git/info/refs?service=x", []string{"git", "a.git", "info", "refs"}, true},
		{"an encoded space is decoded", "/a%20b", []string{"a b"}, true},
		{"no leading slash", "mcp", nil, false},
		{"an absolute form", "http://gw/mcp", nil, false},
		{"an asterisk form", "*", nil, false},
		{"an empty segment", "//mcp", nil, false},
		{"an empty segment in the middle", "/a//b", nil, false},
		{"two trailing slashes", "/a//", nil, false},
		{"a dot segment", "/mcp/./x", nil, false},
		{"a dot-dot segment", "/mcp/../x", nil, false},
		{"an encoded dot-dot segment", "/mcp/%2e%2E/x", nil, false},
		{"an encoded slash", "/mcp%2f..", nil, false},
		{"an encoded backslash", "/mcp%5cx", nil, false},
		{"a backslash", `/mcp\x`, nil, false},
		{"a path parameter", "/mcp;v=1", nil, false},
		{"an encoded path parameter", "/mcp%3Bv=1", nil, false},
		{"double encoding", "/mcp%252f", nil, false},
		{"a bad escape", "/mcp%zz", nil, false},
		{"an encoded NUL", "/mcp%00", nil, false},
		{"a raw high byte", "/mcp\xc3\xa9", nil, false},
		{"a fragment", "/mcp#x", nil, false},
		{"a space in the query", "/mcp?a b", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := locate(tt.in, nil)
			if ok != tt.ok {
				t.Fatalf("locate(%q) ok = %v, want %v", tt.in, ok, tt.ok)
			}
			if diff := cmp.Diff(tt.want, got.segments); ok && diff != "" {
				t.Errorf("segments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHostname(t *testing.T) {
	for in, want := range map[string]string{
		"GW.Example:8080":  "gw.example",
		"gw.example":       "gw.example",
		"[::1]:80":         "[::1]",
		"[::1]":            "[::1]",
		"gw.example.:80":   "gw.example.",
		"user@gw.example":  "",
		"gw.example/../x":  "",
		"gw.example%00.io": "",
	} {
		if got := hostname(in); got != want {
			t.Errorf("hostname(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestURLReason(t *testing.T) {
	for in, want := range map[string]policies.Reason{
		"/mcp?q=a%20b":                          policies.ReasonNone,
		"/mcp?q=%zz":                            policies.PathAmbiguous,
		"/mcp?q=%":                              policies.PathAmbiguous,
		"/mcp?q=%zz&key=" + token.Prefix + "x":  policies.TokenMisplaced,
		"/mcp?key=" + token.Prefix + "x":        policies.TokenMisplaced,
		"/mcp?key=%6b" + token.Prefix[1:] + "x": policies.TokenMisplaced,
	} {
		if got := urlReason(in); got != want {
			t.Errorf("urlReason(%q) = %q, want %q", in, got, want)
		}
	}
}
