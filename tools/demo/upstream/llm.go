package upstream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Model is the only model that LLM offers.
const Model = "parrot-1"

// maxRequest bounds a chat request, in bytes.
const maxRequest = 4 << 20

type chatRequest struct {
	Model   string `json:"model"`
	Stream  bool   `json:"stream"`
	Options struct {
		Usage bool `json:"include_usage"`
	} `json:"stream_options"`
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
}

// LLM speaks the part of OpenAI's API that chat clients use: GET /v1/models and
// POST /v1/chat/completions, streamed or not. It repeats what it is told.
func LLM(key string, count *Counter) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"object": "list", "data": []any{
			map[string]any{"id": Model, "object": "model", "created": 0, "owned_by": "keyward"},
		}})
	})
	mux.HandleFunc("POST /v1/chat/completions", chat)
	return requireKey(key, count, mux)
}

func chat(w http.ResponseWriter, r *http.Request) {
	var req chatRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&req); err != nil || len(req.Messages) == 0 {
		http.Error(w, "a chat request needs messages", http.StatusBadRequest)
		return
	}
	var said string
	if json.Unmarshal(req.Messages[len(req.Messages)-1].Content, &said) != nil {
		said = "something that is not plain text"
	}
	answer := "You said: " + said
	usage := map[string]any{"prompt_tokens": len(said), "completion_tokens": len(answer), "total_tokens": len(said) + len(answer)}
	if req.Stream {
		if !req.Options.Usage {
			usage = nil
		}
		stream(w, answer, usage)
		return
	}
	writeJSON(w, map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": Model,
		"choices": []any{map[string]any{
			"index": 0, "finish_reason": "stop",
			"message": map[string]any{"role": "assistant", "content": answer},
		}},
		"usage": usage,
	})
}

// stream sends the answer word by word as server-sent events, and the usage, if
// there is one, in a chunk of its own, as OpenAI does.
func stream(w http.ResponseWriter, answer string, usage map[string]any) {
	w.Header().Set("Content-Type", "text/event-stream")
	chunk := func(choices ...any) {
		if choices == nil {
			choices = []any{}
		}
		c := map[string]any{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": Model, "choices": choices}
		if usage != nil {
			c["usage"] = nil
			if len(choices) == 0 {
				c["usage"] = usage
			}
		}
		b, _ := json.Marshal(c) // maps of plain values always marshal
		fmt.Fprintf(w, "data: %s\n\n", b)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	send := func(delta map[string]any, finish any) {
		chunk(map[string]any{"index": 0, "delta": delta, "finish_reason": finish})
	}
	for _, word := range strings.SplitAfter(answer, " ") {
		send(map[string]any{"role": "assistant", "content": word}, nil)
	}
	send(map[string]any{}, "stop")
	if usage != nil {
		chunk()
	}
	fmt.Fprint(w, "data: [DONE]\n\n")
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client left: nobody is there to be told
}
