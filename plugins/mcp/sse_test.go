package mcp

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"keyward/policies"
)

const (
	progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}`
	sampling = `{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{}}`
)

func TestSSEFilter(t *testing.T) {
	list, filtered := listOf("a", "b"), listOf("a")
	const called = `{"jsonrpc":"2.0","id":1,"result":{"content":[],"tools":"x"}}`
	tests := []struct {
		name   string
		call   bool // the stream answers a call
		stream bool // the stream is the server's own
		in     string
		want   string
		err    policies.Reason
	}{
		{name: "a list is filtered", in: "data: " + list + "\n\n", want: "data: " + filtered + "\n\n"},
		{name: "ID, type and retry time are kept", in: "event: message\nid: 7\nretry: 50\ndata: " + list + "\n\n", want: "id: 7\nretry: 50\nevent: message\ndata: " + filtered + "\n\n"},
		{name: "lines end with CRLF", in: "data: " + list + "\r\n\r\n", want: "data: " + filtered + "\n\n"},
		{name: "lines end with CR", in: "data: " + list + "\r\r", want: "data: " + filtered + "\n\n"},
		{name: "lines end with a mix", in: "id: 1\r\ndata: " + list + "\r\n\nid: 2\rdata\r\r\n", want: "id: 1\ndata: " + filtered + "\n\nid: 2\ndata: \n\n"},
		{name: "a byte order mark is skipped", in: "\xef\xbb\xbfdata: " + list + "\n\n", want: "data: " + filtered + "\n\n"},
		{name: "a second byte order mark is part of a field's name", in: "data: " + progress + "\n\n\xef\xbb\xbfdata: " + list + "\n\n", want: "data: " + progress + "\n\n"},
		{name: "no space after the colon", in: "data:" + list + "\n\n", want: "data: " + filtered + "\n\n"},
		{name: "data of several lines", in: "data: " + strings.Replace(list, "[", "\ndata: [", 1) + "\n\n", want: "data: " + strings.Replace(filtered, "[", "\ndata: [", 1) + "\n\n"},
		{name: "the line separator of Unicode ends no line", in: "data: {\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{\"t\":\"\u2028data: y\"}}\n\n", want: "data: {\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{\"t\":\"\u2028data: y\"}}\n\n"},
		{name: "a notification comes first", in: "data: " + progress + "\n\ndata: " + list + "\n\n", want: "data: " + progress + "\n\ndata: " + filtered + "\n\n"},
		{name: "a comment is a sign of life", in: ": ping 2026\n\n", want: ":\n"},
		{name: "a place to resume from is kept", in: "id: 3\ndata:\n\n", want: "id: 3\ndata: \n\n"},
		{name: "also one that is replayed as an empty message", in: "id: 3\ndata: {}\n\n", want: "id: 3\ndata: \n\n"},
		{name: "an ID alone is kept", in: "id: 3\n\n", want: "id: 3\n\n"},
		{name: "an ID with a NUL is ignored", in: "id: a\x00b\ndata: " + progress + "\n\n", want: "data: " + progress + "\n\n"},
		{name: "an empty ID is kept", in: "id\ndata: " + progress + "\n\n", want: "id: \ndata: " + progress + "\n\n"},
		{name: "a retry time that is no number is ignored", in: "retry: 1s\ndata: " + progress + "\n\n", want: "data: " + progress + "\n\n"},
		{name: "unknown fields are dropped", in: "datax: y\ndata : z\nfoo\ndata: " + progress + "\n\n", want: "data: " + progress + "\n\n"},
		{name: "an event of another type is dropped", in: "event: ping\nid: 4\ndata: " + list + "\n\n", want: "id: 4\n\n"},
		{name: "the type is set back after an event", in: "event: ping\n\ndata: " + progress + "\n\n", want: "data: " + progress + "\n\n"},
		{name: "an event that has not ended is dropped", in: "data: " + progress + "\n\ndata: " + list + "\n", want: "data: " + progress + "\n\n"},
		{name: "a request of the server is dropped", in: "id: 5\ndata: " + sampling + "\n\ndata: " + list + "\n\n", want: "id: 5\n\ndata: " + filtered + "\n\n"},
		{name: "an error response passes", in: `data: {"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}` + "\n\n", want: `data: {"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}` + "\n\n"},
		{name: "nothing", in: "", want: ""},
		{name: "empty lines", in: "\n\r\n\n", want: ""},

		{name: "the list of another request is refused", in: "data: " + strings.Replace(list, `"id":1`, `"id":2`, 1) + "\n\n", err: policies.AnswerRefused},
		{name: "what came before a refused event stays", in: "data: " + progress + "\n\ndata: x\n\n", want: "data: " + progress + "\n\n", err: policies.AnswerRefused},
		{name: "nothing comes after a refused event", in: "data: x\n\ndata: " + progress + "\n\n", err: policies.AnswerRefused},
		{name: "a batch is refused", in: "data: [" + list + "]\n\n", err: policies.AnswerRefused},
		{name: "two values in one event are refused", in: "data: " + progress + "\ndata: " + progress + "\n\n", err: policies.AnswerRefused},
		{name: "a result that is no list is refused", in: `data: {"jsonrpc":"2.0","id":1,"result":{}}` + "\n\n", err: policies.AnswerRefused},
		{name: "an event beyond its bound is refused", in: "data: " + strings.Repeat("x", policies.MaxAnswerBytes), err: policies.AnswerTooLarge},
		{name: "many lines beyond the bound are refused", in: strings.Repeat("x: "+strings.Repeat("y", 1<<20)+"\n", 9), err: policies.AnswerTooLarge},

		{name: "the result of a call passes", call: true, in: "data: " + called + "\n\n", want: "data: " + called + "\n\n"},
		{name: "the result of another call is refused", call: true, in: "data: " + strings.Replace(called, `"id":1`, `"id":2`, 1) + "\n\n", err: policies.AnswerRefused},
		{name: "a call's stream has no requests of the server", call: true, in: "data: " + sampling + "\n\n", want: ""},

		{name: "a resumed list is filtered", stream: true, in: "data: " + strings.Replace(list, `"id":1`, `"id":"old"`, 1) + "\n\n", want: "data: " + strings.Replace(filtered, `"id":1`, `"id":"old"`, 1) + "\n\n"},
		{name: "a resumed result passes", stream: true, in: `data: {"jsonrpc":"2.0","id":4,"result":{"content":[]}}` + "\n\n", want: `data: {"jsonrpc":"2.0","id":4,"result":{"content":[]}}` + "\n\n"},
		{name: "the server's own stream has no requests", stream: true, in: "data: " + sampling + "\n\n", want: ""},
		{name: "a change of the list is told", stream: true, in: `data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` + "\n\n", want: `data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}` + "\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newFilter := func() *SSEFilter {
				switch {
				case tt.call:
					return NewSSEFilter([]byte("1"), nil)
				case tt.stream:
					return NewSSEFilter(nil, only("a"))
				default:
					return NewSSEFilter([]byte("1"), only("a"))
				}
			}
			for _, size := range []int{len(tt.in), 1, 2, 7} {
				if size == 0 || len(tt.in)/size > 1<<20 {
					continue
				}
				got, f := filterChunks(newFilter(), []byte(tt.in), size)
				checkFault(t, f, tt.err, "")
				if got != tt.want {
					t.Errorf("chunks of %d: got %q\nwant %q", size, got, tt.want)
				}
			}
		})
	}
}

// filterChunks writes in to f in chunks of size bytes.
func filterChunks(f *SSEFilter, in []byte, size int) (string, *Fault) {
	var out []byte
	var fault *Fault
	for chunk := range slices.Chunk(in, size) {
		out, fault = f.Write(out, chunk)
	}
	return string(out), fault
}

// FuzzSSEFilter holds the filter to its laws: the chunks make no difference, and
// no event that comes out names a refused tool or asks the client for anything.
func FuzzSSEFilter(f *testing.F) {
	f.Add("id: 1\r\ndata: "+listOf("a", "b")+"\r\n\r\n: ping\n\ndata: "+progress+"\n\n", uint16(3))
	f.Add("\xef\xbb\xbfevent: message\rdata: "+sampling+"\r\rretry: 5\n\n", uint16(1))
	f.Add("data: "+strings.Replace(listOf("b"), "[", "\ndata: [", 1)+"\n\n", uint16(9))
	f.Fuzz(func(t *testing.T, in string, size uint16) {
		whole, wholeFault := filterChunks(NewSSEFilter([]byte("1"), only("a")), []byte(in), max(1, len(in)))
		parts, partsFault := filterChunks(NewSSEFilter([]byte("1"), only("a")), []byte(in), int(size)+1)
		if whole != parts || (wholeFault == nil) != (partsFault == nil) {
			t.Fatalf("whole: %q (%+v)\nin chunks of %d: %q (%+v)", whole, wholeFault, int(size)+1, parts, partsFault)
		}
		again, fault := filterChunks(NewSSEFilter([]byte("1"), only("a")), []byte(whole), max(1, len(whole)))
		if again != whole || fault != nil {
			t.Fatalf("%q\nfiltered again becomes %q (%+v)", whole, again, fault)
		}
		for event := range strings.SplitSeq(whole, "\n\n") {
			var data strings.Builder
			for line := range strings.SplitSeq(event, "\n") {
				if text, ok := strings.CutPrefix(line, "data: "); ok {
					data.WriteString(text + "\n")
				}
			}
			if strings.TrimSpace(data.String()) == "" {
				continue
			}
			var m struct {
				ID     any
				Method *string
				Result struct{ Tools []struct{ Name string } }
			}
			if err := json.Unmarshal([]byte(data.String()), &m); err != nil {
				t.Fatalf("event %q: %v", event, err)
			}
			if m.Method != nil && m.ID != nil {
				t.Fatalf("a request got through: %q", event)
			}
			for _, tool := range m.Result.Tools {
				if tool.Name != "a" {
					t.Fatalf("tool %q got through: %q", tool.Name, event)
				}
			}
		}
	})
}
