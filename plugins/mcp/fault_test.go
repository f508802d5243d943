package mcp

import (
	"encoding/json"
	"testing"

	"keyward/plugins/filter"
	"keyward/policies"

	"github.com/google/go-cmp/cmp"
)

func TestReply(t *testing.T) {
	m := Message{Revision: R20251125, Kind: policies.MCPRequest, ID: []byte(`"a\"b"`)}
	got := m.Refuse(policies.NotGranted).Reply("01J\"<x>")
	want := filter.Reply{
		Status:  200,
		Headers: [][2]string{{"content-type", "application/json"}, {"cache-control", "no-store"}},
		Body: []byte(`{"jsonrpc":"2.0","id":"a\"b","error":{"code":40300,"message":"Permission denied: this consumer has no grant for it.",` +
			`"data":{"reason":"not_granted","decision":"01J\"<x>"}}}`),
		Detail: "keyward_not_granted",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !json.Valid(got.Body) {
		t.Errorf("body is no JSON: %s", got.Body)
	}
}

func TestReplyWithoutAnID(t *testing.T) {
	f := &Fault{Reason: policies.MethodForbidden, Allow: "POST"}
	got := f.Reply("")
	want := filter.Reply{
		Status:  405,
		Headers: [][2]string{{"content-type", "application/json"}, {"cache-control", "no-store"}, {"allow", "POST"}},
		Body:    []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":40500,"message":"This HTTP method is not accepted here.","data":{"reason":"http_method_not_allowed"}}}`),
		Detail:  "keyward_http_method_not_allowed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStatus(t *testing.T) {
	id := []byte("1")
	tests := []struct {
		name  string
		fault Fault
		want  int
	}{
		{"a denied call in a session", Fault{Reason: policies.NotGranted, ID: id, Revision: R20251125}, 200},
		{"a denied call without sessions", Fault{Reason: policies.NotGranted, ID: id, Revision: R20260728}, 200},
		{"a denied notification in a session", Fault{Reason: policies.NotGranted, Revision: R20251125}, 403},
		{"an unknown method in a session", Fault{Reason: policies.UnknownMethod, ID: id, Revision: R20250618}, 200},
		{"an unknown method without sessions", Fault{Reason: policies.UnknownMethod, ID: id, Revision: R20260728}, 404},
		{"a malformed body", Fault{Reason: policies.Malformed}, 400},
		{"a header mismatch", Fault{Reason: policies.HeaderMismatch, ID: id, Revision: R20260728}, 400},
		{"a revoked token", Fault{Reason: policies.TokenRevoked, ID: id}, 401},
		{"a call that could not be decided", Fault{Reason: policies.PolicyFailed, ID: id, Revision: R20251125}, 503},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.fault.Status(); got != tt.want {
				t.Errorf("Status() = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestDeniedStreamLooksNotOffered(t *testing.T) {
	for _, kind := range []policies.MCPKind{policies.MCPStream, policies.MCPEnd} {
		m := Message{Revision: R20251125, Kind: kind}
		if f := m.Refuse(policies.NotGranted); f.Status() != 405 || f.Allow != "POST" {
			t.Errorf("%s not granted: %d, Allow %q", kind, f.Status(), f.Allow)
		}
		if f := m.Refuse(policies.PolicyFailed); f.Status() != 503 {
			t.Errorf("%s not decided: %d", kind, f.Status())
		}
	}
}

func TestUnauthenticatedReplyAsksForAToken(t *testing.T) {
	got := (&Fault{Reason: policies.TokenExpired, ID: []byte("1")}).Reply("")
	if want := [2]string{"www-authenticate", `Bearer realm="keyward", error="invalid_token"`}; got.Status != 401 || got.Headers[len(got.Headers)-1] != want {
		t.Errorf("reply = %+v", got)
	}
}
