package mcp

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestResponseScanner(t *testing.T) {
	tests := []struct {
		name, doc string
		id        string // "": 1
		want      error  // nil: passes
	}{
		{name: "a result", doc: `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a } ] \" , \\"}]}}`},
		{name: "an error", doc: ` {"jsonrpc":"2.0","error":{"code":1,"message":"x"},"id":1} ` + "\n"},
		{name: "an error of what could not be read", doc: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`},
		{name: "a document of something else", doc: `{"ok":true,"method_name":1,"nested":{"method":"x","id":7}}`},
		{name: "nothing in it", doc: `{}`},
		{name: "an id in escapes", id: `"é"`, doc: `{"id":"\u00e9","result":{}}`},
		{name: "an id with a comma in it", id: `"a,b}"`, doc: `{"id":"a,b}","result":{}}`},
		{name: "a batch", doc: `[{"jsonrpc":"2.0","id":1,"result":{}}]`, want: errShape},
		{name: "a request of the server", doc: `{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage"}`, want: errAnswerID},
		{name: "a request of the server with our id", doc: `{"jsonrpc":"2.0","id":1,"params":{},"method":"sampling/createMessage"}`, want: errShape},
		{name: "a method behind a result", doc: `{"jsonrpc":"2.0","id":1,"result":{},"method":"x"}`, want: errShape},
		{name: "a method in escapes", doc: `{"jsonrpc":"2.0","id":1,"\u006dethod":"x"}`, want: errVariant},
		{name: "a method in other case", doc: `{"jsonrpc":"2.0","id":1,"Method":"x"}`, want: errVariant},
		{name: "a method in a long name", doc: `{"` + strings.Repeat("_", 80) + `method":"x"}`, want: errVariant},
		{name: "a response to another request", doc: `{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}`, want: errAnswerID},
		{name: "the id of another type", doc: `{"jsonrpc":"2.0","id":"1","result":{}}`, want: errAnswerID},
		{name: "two ids", doc: `{"id":1,"id":2,"result":{}}`, want: errShape},
		{name: "an id that is a list", doc: `{"id":[1],"result":{}}`, want: errAnswerID},
		{name: "an id without an end", doc: `{"id":"` + strings.Repeat("a", 4*maxScanID), want: errAnswerID},
		{name: "two documents", doc: `{"id":1,"result":{}}{"id":1,"method":"x"}`, want: errTrailing},
		{name: "a byte order mark", doc: "\ufeff{}", want: errShape},
		{name: "UTF-16", doc: "{\x00\"\x00", want: errShape},
		{name: "a text", doc: `"x"`, want: errShape},
		{name: "a comma too many", doc: `{"id":1,}`, want: errShape},
		{name: "a value that ends as a list", doc: `{"id":1]`, want: errShape},
		{name: "a name without quotes", doc: `{method:1}`, want: errShape},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id := cmpOr(tt.id, "1")
			for _, size := range []int{1, 3, len(tt.doc)} {
				var s ResponseScanner
				s.Begin([]byte(id))
				var fault *Fault
				for rest := tt.doc; rest != ""; rest = rest[min(size, len(rest)):] {
					fault = s.Write([]byte(rest[:min(size, len(rest))]))
				}
				switch {
				case tt.want == nil && fault != nil:
					t.Fatalf("in pieces of %d: %v", size, fault.Detail)
				case tt.want != nil && (fault == nil || fault.Detail != tt.want.Error()):
					t.Fatalf("in pieces of %d: %+v, want %v", size, fault, tt.want)
				}
			}
		})
	}
}

// FuzzResponseScanner holds the scanner to its law: of a document that passes, no
// client reads a method or another ID.
func FuzzResponseScanner(f *testing.F) {
	f.Add(`{"jsonrpc":"2.0","id":1,"result":{"a":[1,"}",{"b":"\\\""}]}}`, uint8(3))
	f.Add(`{"jsonrpc":"2.0","id":1,"METHOD":"x"}`, uint8(1))
	f.Add(`[{"id":1}]`, uint8(9))
	f.Fuzz(func(t *testing.T, doc string, size uint8) {
		var s ResponseScanner
		s.Begin([]byte("1"))
		n := int(size)%16 + 1
		var fault *Fault
		for rest := doc; rest != ""; rest = rest[min(n, len(rest)):] {
			fault = s.Write([]byte(rest[:min(n, len(rest))]))
		}
		var all ResponseScanner
		all.Begin([]byte("1"))
		if whole := all.Write([]byte(doc)); (whole == nil) != (fault == nil) {
			t.Fatalf("in pieces of %d: %v, as one: %v", n, fault, whole)
		}
		var lenient struct {
			ID     any
			Method any
		}
		err := json.Unmarshal([]byte(doc), &lenient)
		switch {
		case fault != nil && err == nil && len(doc) < maxScanName:
			var strict map[string]json.RawMessage
			if json.Unmarshal([]byte(doc), &strict) == nil && len(strict) == 1 && string(strict["result"]) != "" && !strings.ContainsAny(doc, `\`) && strings.Count(doc, "result") == 1 {
				t.Fatalf("refuses %s: %v", doc, fault.Detail)
			}
		case fault == nil && err == nil && lenient.Method != nil:
			t.Fatalf("passes a method: %s", doc)
		case fault == nil && err == nil && lenient.ID != nil && lenient.ID != 1.0:
			t.Fatalf("passes another ID: %s", doc)
		}
	})
}
