package mcp

import (
	"strings"
	"testing"
)

// What a server can send to make a search look far must cost no more than other
// text: run with -bench=Far.
func BenchmarkFar(b *testing.B) {
	for name, text := range map[string]string{
		"text": strings.Repeat("lorem ipsum ", 1<<17/12), "escapes": strings.Repeat(`\\`, 1<<16), "carriage-returns": strings.Repeat("\r", 1<<17),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var s ResponseScanner
				s.Begin([]byte("1"))
				if s.Write([]byte(`{"id":1,"result":"` + text)); s.fault != nil {
					b.Fatal(s.fault.Detail)
				}
				if out, fault := NewSSEFilter([]byte("1"), nil).Write(nil, []byte(text)); fault != nil || len(out) > 0 {
					b.Fatal(fault)
				}
			}
		})
	}
}
