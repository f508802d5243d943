package mcp

import (
	"slices"
	"testing"

	"keyward/policies"
)

func initialize(proposed string) string {
	return `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"` + proposed + `","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
}

func TestRevision(t *testing.T) {
	const (
		list     = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
		discover = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`
		future   = `{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01"}}}`
	)
	newest := Settings{Revisions: []string{"2026-07-28"}}
	sessions := Settings{Revisions: []string{"2025-11-25", "2025-06-18"}}
	oldest := Settings{Revisions: []string{"2025-06-18"}}
	tests := []struct {
		name     string
		header   string // MCP-Protocol-Version; "": none
		method   string // Mcp-Method; "": none
		body     string
		settings Settings
		want     Revision
		fault    policies.Reason
	}{
		{name: "the header gives the revision", header: "2025-06-18", body: list, want: R20250618},
		{name: "no header stands for 2025-03-26", body: list, fault: policies.Revision},
		{name: "2025-03-26 is not read", header: "2025-03-26", body: list, fault: policies.Revision},
		{name: "2024-11-05 is not read", header: "2024-11-05", body: list, fault: policies.Revision},
		{name: "a future revision is not read", header: "2099-01-01", body: list, fault: policies.Revision},
		{name: "an empty header is not read", header: " ", body: list, fault: policies.Revision},
		{name: "two revisions in one header are not read", header: "2025-11-25,2025-11-25", body: list, fault: policies.Revision},
		{name: "the target does not take the revision", header: "2025-06-18", body: list, settings: newest, fault: policies.Revision},
		{name: "the target takes the revision", header: "2025-11-25", body: list, settings: sessions, want: R20251125},

		{name: "initialize needs no header", body: initialize("2025-11-25"), want: R20251125},
		{name: "initialize may have the header", header: "2025-11-25", body: initialize("2025-11-25"), want: R20251125},
		{name: "initialize with another header is a mismatch", header: "2025-06-18", body: initialize("2025-11-25"), fault: policies.HeaderMismatch},
		{name: "initialize may propose what the server will not take", body: initialize("2099-01-01"), want: R20251125},
		{name: "initialize may propose the newest revision", body: initialize("2026-07-28"), want: R20251125},
		{name: "initialize for a target of older revisions", body: initialize("2025-11-25"), settings: oldest, want: R20250618},
		{name: "initialize with an older proposal than any", body: initialize("2025-03-26"), fault: policies.Revision},
		{name: "initialize with an older proposal than the target's", body: initialize("2025-06-18"), settings: Settings{Revisions: []string{"2025-11-25"}}, fault: policies.Revision},
		{name: "initialize for a target without sessions", body: initialize("2025-11-25"), settings: newest, fault: policies.Revision},
		{name: "initialize with no date", body: initialize("latest-one"), fault: policies.Revision},
		{name: "initialize with a date of letters", body: initialize("2o25-11-25"), fault: policies.Revision},
		{name: "initialize without a proposal", body: `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`, fault: policies.InvalidParams},

		{name: "a client probes a target of the newest revision", header: "2026-07-28", method: "server/discover", body: discover, want: R20260728},
		{name: "a client probes a target of older revisions", header: "2026-07-28", method: "server/discover", body: discover, settings: sessions, fault: policies.Revision},
		{name: "a client probes with a revision to come", header: "2099-01-01", method: "server/discover", body: future, fault: policies.Revision},
		{name: "a client probes without the header", method: "server/discover", body: discover, fault: policies.HeaderMismatch},
		{name: "a probe under a revision with sessions is unknown", header: "2025-11-25", body: `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`, fault: policies.UnknownMethod},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			headers := [][2]string{{"content-type", "application/json"}}
			if tt.header != "" {
				headers = append(headers, [2]string{"mcp-protocol-version", tt.header})
			}
			if tt.method != "" {
				headers = append(headers, [2]string{"mcp-method", tt.method})
			}
			m, f := read(t, headers, tt.body, tt.settings)
			id := ""
			if f != nil {
				id = string(f.ID) // the body was read, so the ID is known
			}
			checkFault(t, f, tt.fault, id)
			if m.Revision != tt.want {
				t.Errorf("revision = %q, want %q", m.Revision, tt.want)
			}
			if tt.fault == policies.Revision && (len(f.Supported) == 0 || slices.Contains(f.Supported, Revision(tt.header)) || id == "") {
				t.Errorf("fault does not help: %+v", f)
			}
		})
	}
}

func TestMissingHeaderIsToldWhatIsSupported(t *testing.T) {
	_, f := read(t, [][2]string{{"content-type", "application/json"}}, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, Settings{})
	got := string(f.Reply("d1").Body)
	want := `{"jsonrpc":"2.0","id":1,"error":{"code":-32022,"message":"The protocol revision is not supported here.","data":{"reason":"unsupported_revision","decision":"d1","supported":["2026-07-28","2025-11-25","2025-06-18"],"requested":""}}}`
	if got != want {
		t.Errorf("body = %s\nwant %s", got, want)
	}
}
