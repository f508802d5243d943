package usage

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"keyward/policies"
)

func tokens(in, out uint64) *policies.Tokens { return &policies.Tokens{Input: in, Output: out} }

// read gives a scanner all of an answer in chunks of n bytes.
func read(stream bool, answer string, n int) *Scanner {
	s := &Scanner{Stream: stream}
	for b := []byte(answer); len(b) > 0; {
		k := min(n, len(b))
		s.Write(bytes.Clone(b[:k]))
		b = b[k:]
	}
	return s
}

const (
	chat     = `{"id":"c","model":"gpt-5","choices":[{"message":{"content":"say \"usage\":{\"prompt_tokens\":9}"}}],"usage":{"prompt_tokens":12,"completion_tokens":30,"total_tokens":42,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":7}}}`
	response = `{"id":"r","object":"response","model":"gpt-5","output":[{"type":"message","usage":{"input_tokens":1}}],"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":0},"output_tokens":87,"total_tokens":123}}`
	message  = `{"id":"m","type":"message","model":"claude-x","content":[{"type":"tool_use","input":{"usage":{"input_tokens":5}}}],"usage":{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":20}}`

	chatStream = "data: {\"model\":\"gpt-5\",\"choices\":[{\"delta\":{\"content\":\"hi\"}}],\"usage\":null}\n\n" +
		"data: {\"model\":\"gpt-5\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":30}}\n\ndata: [DONE]\n\n"
	responseStream = "event: response.created\r\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt-5\",\"usage\":null}}\r\n\r\n" +
		"event: response.completed\r\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-5\",\"usage\":{\"input_tokens\":36,\"output_tokens\":87}}}\r\n\r\n"
	messageStream = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n" +
		": ping\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"usage\"}}\n\n" +
		"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":15}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
)

func TestScanner(t *testing.T) {
	deep := strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)
	tests := []struct {
		name   string
		stream bool
		answer string
		want   *policies.Tokens
		model  string
	}{
		{"OpenAI, chat", false, chat, tokens(12, 30), "gpt-5"},
		{"OpenAI, responses", false, response, tokens(36, 87), "gpt-5"},
		{"Anthropic, messages", false, message, tokens(1110, 20), "claude-x"},
		{"OpenAI, embeddings", false, `{"model":"e","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}`, tokens(8, 0), "e"},
		{"OpenAI, chat streamed", true, chatStream, tokens(12, 30), "gpt-5"},
		{"OpenAI, responses streamed", true, responseStream, tokens(36, 87), "gpt-5"},
		{"Anthropic, messages streamed", true, messageStream, tokens(30, 15), "claude-x"},
		{"a stream that was cut tells what came", true, messageStream[:strings.Index(messageStream, ": ping")], tokens(30, 1), "claude-x"},
		{"lines end with CR", true, strings.ReplaceAll(chatStream, "\n", "\r"), tokens(12, 30), "gpt-5"},
		{"an event in several lines", true, "data: {\"usage\":\ndata:{\"prompt_tokens\":1,\ndata: \"completion_tokens\":2}}\n\n", tokens(1, 2), ""},
		{"an event that can't be read is nothing", true, "data: {\"usage\":{\"prompt_tokens\":1}}}\n\n" + chatStream, tokens(12, 30), "gpt-5"},
		{"an event that has not ended is nothing", true, "data: {\"usage\":{\"prompt_tokens\":1}}\n", nil, ""},
		{"running sums: the largest counts", true, "data: {\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5}}\n\ndata: {\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\n", tokens(9, 5), ""},
		{"fields that are not data", true, "datax: {\"usage\":{\"prompt_tokens\":9}}\n\ndata : {\"usage\":{\"prompt_tokens\":9}}\n\nusage\n\n", nil, ""},

		{"no usage", false, `{"choices":[]}`, nil, ""},
		{"usage is null", false, `{"usage":null}`, nil, ""},
		{"usage in a text", false, `{"choices":"\"usage\":{\"prompt_tokens\":9}"}`, nil, ""},
		{"usage deeper", false, `{"choices":[{"usage":{"prompt_tokens":9}}],"tool":{"usage":{"prompt_tokens":9}}}`, nil, ""},
		{"usage in an array", false, `[{"usage":{"prompt_tokens":9}}]`, nil, ""},
		{"a list of usages", false, `{"usage":[{"prompt_tokens":9}]}`, nil, ""},
		{"a name in another spelling", false, `{"us\u0061ge":{"prompt_tokens":9},"Usage":{"prompt_tokens":9}}`, nil, ""},
		{"a number that is a text", false, `{"usage":{"prompt_tokens":"9"}}`, nil, ""},
		{"a negative number", false, `{"usage":{"prompt_tokens":-9}}`, nil, ""},
		{"a fraction", false, `{"usage":{"prompt_tokens":9.5}}`, nil, ""},
		{"an exponent", false, `{"usage":{"prompt_tokens":9e9}}`, nil, ""},
		{"a number beyond all bounds", false, `{"usage":{"prompt_tokens":` + strings.Repeat("9", 500) + `}}`, nil, ""},
		{"the largest number", false, `{"usage":{"prompt_tokens":999999999999}}`, tokens(999999999999, 0), ""},
		{"zeros", false, `{"usage":{"prompt_tokens":0,"completion_tokens":0}}`, tokens(0, 0), ""},
		{"a document that has not ended", false, chat[:len(chat)-1], nil, ""},
		{"two documents", false, chat + chat, nil, ""},
		{"brackets that don't fit", false, `{"usage":{"prompt_tokens":9]}`, nil, ""},
		{"one bracket too many", false, `{"usage":{"prompt_tokens":9}}}`, nil, ""},
		{"nested without end", false, `{"a":` + deep + `,"usage":{"prompt_tokens":9}}`, nil, ""},
		{"a text", false, `"usage"`, nil, ""},
		{"nothing", false, "", nil, ""},
		{"a model with a space", false, `{"model":"a b","usage":{"prompt_tokens":1}}`, tokens(1, 0), ""},
		{"a model with an escape", false, `{"model":"a\nb","usage":{"prompt_tokens":1}}`, tokens(1, 0), ""},
		{"a model without end", false, `{"model":"` + strings.Repeat("m", maxModel+1) + `","usage":{"prompt_tokens":1}}`, tokens(1, 0), ""},
		{"a name without end", false, `{"` + strings.Repeat("u", 1<<16) + `":1,"usage":{"prompt_tokens":1}}`, tokens(1, 0), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 7, 1 << 20} {
				s := read(tt.stream, tt.answer, n)
				model, got := s.Usage()
				if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want || model != tt.model {
					t.Errorf("in chunks of %d: %+v of %q, want %+v of %q", n, got, model, tt.want, tt.model)
				}
			}
		})
	}
}

// FuzzScanner holds that chunks change nothing, that a document of encoding/json's
// making is read as it reads it, and that a model can't write its own bill.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{chat, response, message, chatStream, responseStream, messageStream, `{"usage":{"prompt_tokens":9]}`} {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, answer string, n uint8) {
		for _, stream := range []bool{false, true} {
			wholeModel, whole := read(stream, answer, 1<<20).Usage()
			model, parts := read(stream, answer, int(n)+1).Usage()
			if (whole == nil) != (parts == nil) || whole != nil && *whole != *parts || model != wholeModel {
				t.Fatalf("%+v of %q, in chunks of %d %+v of %q", whole, wholeModel, int(n)+1, parts, model)
			}
		}
		said, err := json.Marshal(map[string]any{
			"choices": []any{map[string]any{"text": answer, "usage": map[string]any{"prompt_tokens": 9}}}, "text": answer,
			"model": "m", "usage": map[string]any{"prompt_tokens": 3, "completion_tokens": uint64(n), answer: answer},
		})
		if err != nil {
			t.Fatal(err)
		}
		if fieldOf([]byte(answer)) != noField {
			t.Skip("the same name again")
		}
		if _, got := read(false, string(said), int(n)+1).Usage(); got == nil || *got != *tokens(3, uint64(n)) {
			t.Errorf("%s is read as %+v", said, got)
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	long := strings.Replace(chat, "say ", strings.Repeat("one word after another, ", 1000), 1)
	for name, bench := range map[string]struct {
		stream bool
		answer string
	}{"document": {false, long}, "stream": {true, strings.Repeat(chatStream, 100)}} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.answer)))
			b.ReportAllocs()
			answer := []byte(bench.answer)
			for b.Loop() {
				s := Scanner{Stream: bench.stream}
				s.Write(answer)
				if _, got := s.Usage(); got == nil {
					b.Fatal("nothing was read")
				}
			}
		})
	}
}
