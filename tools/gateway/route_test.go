package gateway

import (
	"net/http"
	"testing"
)

func TestRouterFind(t *testing.T) {
	r := newRouter([]Route{
		{Name: "root", Path: "/"},
		{Name: "mcp", Path: "/mcp"},
		{Name: "mcp-deep", Path: "/mcp/a/"},
		{Name: "host", Host: "api.test", Path: "/mcp"},
	}, nil)
	tests := []struct{ name, authority, path, want string }{
		{"the root takes the rest", "x", "/other", "root"},
		{"a whole segment", "x", "/mcp", "mcp"},
		{"a segment and more", "x", "/mcp/b", "mcp"},
		{"not a part of a segment", "x", "/mcpx", "root"},
		{"the longer path wins", "x", "/mcp/a/b", "mcp-deep"},
		{"a host wins over a longer path", "API.test:8080", "/mcp/a/b", "host"},
		{"a host with the root's dot", "api.test.", "/mcp", "host"},
		{"the query is no path", "x", "/mcp?/mcp/a/", "mcp"},
		{"an encoded slash is no slash", "x", "/mcp%2fa/", "root"},
		{"dots are not resolved", "x", "/x/../mcp", "root"},
		{"an asterisk", "x", "*", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if rt := r.find(tt.authority, tt.path); rt != nil {
				got = rt.Name
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRewrite(t *testing.T) {
	to := func(s string) *string { return &s }
	tests := []struct {
		path, prefix string
		to           *string
		want         string
	}{
		{"/a/b?c", "/a", nil, "/a/b?c"},
		{"/a/b?c", "/a", to("/x/"), "/x/b?c"},
		{"/a?c", "/a", to("/"), "/?c"},
		{"/a/b", "/a", to("/"), "/b"},
		{"/a", "/a", to("/x"), "/x"},
		{"/z", "/a", to("/x"), "/z"},
	}
	for _, tt := range tests {
		r := &route{Route: Route{PrefixRewrite: tt.to}, prefix: tt.prefix}
		if got := r.rewrite(tt.path); got != tt.want {
			t.Errorf("rewrite(%q) = %q, want %q", tt.path, got, tt.want)
		}
	}
}

func TestRawPath(t *testing.T) {
	for in, want := range map[string]string{
		"/a//b/%2e/../c?d": "/a//b/%2e/../c?d",
		"*":                "*",
		"http://h/a?b":     "/a?b",
		"http://h":         "/",
		"http://h?q":       "/?q",
	} {
		if got := rawPath(&http.Request{RequestURI: in}); got != want {
			t.Errorf("rawPath(%q) = %q, want %q", in, got, want)
		}
	}
}
