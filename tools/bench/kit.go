package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"keyward/plugins/token"
)

// Names that the configuration of Envoy and of the plugins share.
const (
	authority   = "bench.local"
	cluster     = "upstream"
	mcpTarget   = "tracker"
	mcpPath     = "/mcp"
	llmTarget   = "llm"
	llmPath     = "/v1/chat/completions"
	gatewayKeys = "KEYWARD_GATEWAY_KEYS"
)

// bodyBytes is the size of every request and answer body.
const bodyBytes = 1024

// A kit is what the plugins are configured with and the requests are made of.
type kit struct {
	token   string // the consumer's
	key     string // the target's real one
	config  string // of gate and key-swap
	topdown string // of peer-topdown
	verdict string // of stamp: what gate would set
	answer  string // the upstream's
	env     []string
}

func newKit() (*kit, error) {
	t, err := token.New(rand.Reader)
	if err != nil {
		return nil, err
	}
	k := &kit{token: t, key: "sk-" + rand.Text(), answer: padded(answerBody)}
	policy, err := os.ReadFile("policy.rego")
	if err != nil {
		return nil, err
	}
	topdown, err := json.Marshal(map[string]any{"policy": string(policy), "input": map[string]any{
		"kind":     "mcp",
		"consumer": map[string]any{"id": "worker-1", "kind": "worker", "labels": map[string]string{"team": "payments"}},
		"target":   map[string]any{"id": mcpTarget, "kind": "mcp", "labels": map[string]string{}},
		"grants": []any{
			map[string]any{"id": "g1", "tools": []string{"issue_search"}},
		},
	}})
	if err != nil {
		return nil, err
	}
	k.topdown = string(topdown)
	return k, nil
}

// mcp is an allowed tools/call.
func (k *kit) mcp() call {
	return newCall(mcpPath, append(k.headers(),
		[2]string{"accept", "application/json, text/event-stream"},
		[2]string{"mcp-protocol-version", "2025-11-25"},
	), padded(mcpBody), bodyBytes)
}

// llm is an allowed chat completion.
func (k *kit) llm() call {
	return newCall(llmPath, append(k.headers(), [2]string{"accept", "application/json"}), padded(llmBody), bodyBytes)
}

func (k *kit) headers() [][2]string {
	return [][2]string{
		{"authorization", "Bearer " + k.token},
		{"content-type", "application/json"},
		{"user-agent", "keyward-bench/1"},
	}
}

// Bodies; %s is filled up with prose to bodyBytes.
const (
	mcpBody = `{"jsonrpc":"2.0","id":17,"method":"tools/call","params":{"name":"issue_search","arguments":{` +
		`"owner":"acme","repo":"payments","state":"open","labels":["bug","backend","p1"],"limit":20,` +
		`"since":"2026-01-01T00:00:00Z","sort":{"by":"updated","order":"desc"},"include_closed":false,"query":"%s"},` +
		`"_meta":{"progressToken":"call-17"}}}`
	llmBody = `{"model":"gpt-large","temperature":0.2,"max_tokens":256,"stream":false,"messages":[` +
		`{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"%s"}]}`
	answerBody = `{"jsonrpc":"2.0","id":17,"result":{"content":[{"type":"text","text":"%s"}],"isError":false}}`
)

const prose = "The payment service answers some refunds twice when the queue is restarted, find out since when and who has seen it. "

// padded fills up a body to bodyBytes.
func padded(body string) string {
	room := bodyBytes - (len(body) - len("%s"))
	return fmt.Sprintf(body, strings.Repeat(prose, room/len(prose)+1)[:room])
}
