package admission_test

import (
	"testing"
	"time"

	"keyward/plugins/filter/filtertest"
	"keyward/policies"
)

func TestRecordsTellWhatAModelTook(t *testing.T) {
	const chat = `{"model":"gpt-5","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":30}}`
	tests := []struct {
		name   string
		path   string // "": a chat
		status string // "": 200
		media  string
		body   []string
		want   *policies.Tokens
		model  string
	}{
		{"a document in pieces", "", "", "application/json", []string{chat[:40], chat[40:60], chat[60:]}, &policies.Tokens{Input: 12, Output: 30}, "gpt-5"},
		{"a stream", "", "", "text/event-stream", []string{"data: {\"model\":\"gpt-5\",\"usage\":null}\n\ndata: " + chat[:30], chat[30:] + "\n\ndata: [DONE]\n\n"}, &policies.Tokens{Input: 12, Output: 30}, "gpt-5"},
		{"a stream without usage", "", "", "text/event-stream", []string{"data: {\"model\":\"gpt-5\"}\n\n"}, nil, "gpt-5"},
		{"another form", "", "", "text/plain", []string{chat}, nil, ""},
		{"an error", "", "500", "application/json", []string{chat}, nil, ""},
		{"no answer of a model", "/mcp", "", "application/json", []string{`{"jsonrpc":"2.0","id":"a-1","usage":{"prompt_tokens":12},"result":{}}`}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tok := newToken(t, "k")
			g := audited(t, tok, nil)
			m := post(tok, call("read"))
			if tt.path == "" {
				m.Headers[1][1] = "/v1/chat"
			}
			r := filtertest.Run(g, filtertest.Exchange{Request: m, Upstream: func(filtertest.Message) filtertest.Message {
				status := "200"
				if tt.status != "" {
					status = tt.status
				}
				return filtertest.Message{Headers: [][2]string{{":status", status}, {"content-type", tt.media}}, Body: tt.body}
			}})
			if r.Client == nil || len(r.Faults) > 0 || tt.path == "" && len(r.Client.Body) != len(tt.body) {
				t.Fatalf("the answer is not passed on as it came: %+v", r)
			}
			g.pass(time.Second)
			if len(g.records) != 1 {
				t.Fatalf("%d records", len(g.records))
			}
			got := g.records[0]
			if (got.Tokens == nil) != (tt.want == nil) || tt.want != nil && *got.Tokens != *tt.want || got.Model != tt.model {
				t.Errorf("the record says %+v of %q, want %+v of %q", got.Tokens, got.Model, tt.want, tt.model)
			}
		})
	}
}
