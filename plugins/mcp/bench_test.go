package mcp

import (
	"strings"
	"testing"

	"keyward/policies"
	"keyward/policies/engine"
)

// BenchmarkRead reads a tools/call of 1 KB; the first row is the JSON alone.
func BenchmarkRead(b *testing.B) {
	args := `{"repo":"a/b","labels":["x","y"],"nested":{"n":1,"t":true},"body":"` + strings.Repeat("word ", 140) + `"}`
	body := []byte(statelessBody("get_issue", args))
	headers := append(stateless(),
		[2]string{":method", "POST"}, [2]string{":path", "/mcp"}, [2]string{":authority", "gw"},
		[2]string{"accept", "application/json, text/event-stream"}, [2]string{"user-agent", "bench"})
	var r engine.JSONReader
	b.Run("json", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := r.Read(body, engine.JSONLimits{Depth: policies.MaxDepth, Values: policies.MaxMembers}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("message", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			h, f := ReadHeaders(headers)
			if f == nil {
				_, f = CheckHeaders("POST", false, &h, Settings{})
			}
			if f == nil {
				_, f = Read(&r, body, &h, Settings{})
			}
			if f != nil {
				b.Fatal(f)
			}
		}
	})
}
