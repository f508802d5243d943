package mcp

import (
	"encoding/json"
	"testing"

	"keyward/policies"
	"keyward/policies/engine"
)

// FuzzRead holds the reader to one law: what it reads, a second and lenient
// reader reads alike.
func FuzzRead(f *testing.F) {
	f.Add(call, "2025-11-25", "", "")
	f.Add(statelessBody("get_issue", `{"a":[1,{"b":null}]}`), "2026-07-28", "tools/call", "get_issue")
	f.Add(initialize("2025-11-25"), "", "", "")
	f.Add(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"safe","NAME":"danger"}}`, "2025-11-25", "", "")
	f.Add(`{"jsonrpc":"2.0","method":"notifications/cancelled"}`, "2025-06-18", "", "")
	var reader engine.JSONReader // what it read before must not matter
	f.Fuzz(func(t *testing.T, body, revision, method, name string) {
		h := Headers{ContentType: "application/json", Revision: revision, Method: method, Name: name}
		for has, value := range map[field]string{hasRevision: revision, hasMethod: method, hasName: name} {
			if value != "" {
				h.has |= has
			}
		}
		m, fault := Read(&reader, []byte(body), &h, Settings{})
		if fault != nil {
			if fault.Reason == policies.ReasonNone || fault.Reason.Refusal() == policies.Internal.Refusal() {
				t.Fatalf("fault without a known reason: %+v", fault)
			}
			if !json.Valid(fault.Reply("d").Body) {
				t.Fatalf("refusal is no JSON: %s", fault.Reply("d").Body)
			}
			return
		}
		var lenient struct {
			Method string
			Params struct {
				Name      any
				Arguments json.RawMessage
			}
		}
		if err := json.Unmarshal([]byte(body), &lenient); err != nil {
			t.Fatalf("encoding/json refuses what was read: %v", err)
		}
		if lenient.Method != m.Method || m.Class == ByName && lenient.Params.Name != any(m.Name) {
			t.Fatalf("read %q %q, a lenient reader %q %v", m.Method, m.Name, lenient.Method, lenient.Params.Name)
		}
		if (len(lenient.Params.Arguments) == 0) != m.Arguments.IsUndefined() && m.Class == ByName {
			t.Fatalf("arguments: read %s, a lenient reader %s", m.Arguments, lenient.Params.Arguments)
		}
		if m.ID != nil && !json.Valid(m.ID) {
			t.Fatalf("ID is no JSON: %s", m.ID)
		}
	})
}
