package e2e_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
	"keyward/tools/demo/upstream"
)

// addLLM puts an OpenAI-compatible provider behind the gateway, of which the
// worker may use the chat alone.
func addLLM(t *testing.T, w *world) {
	t.Helper()
	key := w.add(t, snapshot.Target{
		ID: "llm", Kind: policies.KindLLM, Inject: bearer(), Match: []snapshot.Match{{Route: "llm"}},
	}, policies.Grant{Methods: []string{"POST"}, Paths: []string{"/v1/chat/completions"}})
	w.serve(t, "llm", w.guard("Bearer "+key, upstream.LLM(key, &upstream.Counter{})))
}

func testOpenAI(t *testing.T, w *world, g *gateway) {
	python := testenv.NeedPython(t, testenv.OpenAIPackage)
	in, err := json.Marshal(map[string]any{"url": g.url + "/v1", "token": w.token, "model": upstream.Model})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Chat   string
		Stream []string
		Tokens int
		Denied struct {
			Class, Message, Code string
			Status               int
		}
		Stranger struct {
			Class, Code string
			Status      int
		}
	}
	runScript(t, python, filepath.Join("testdata", "openai_client.py"), in, &got)
	const want = "You said: hello there"
	if got.Chat != want || strings.Join(got.Stream, "") != want || len(got.Stream) < 2 {
		t.Errorf("the chat answers %q, and streamed %q, want %q", got.Chat, got.Stream, want)
	}
	if got.Tokens != len("hello there")+len(want) {
		t.Errorf("the stream tells %d tokens", got.Tokens)
	}
	refusal := policies.NotGranted.Refusal()
	if d := got.Denied; d.Class != "PermissionDeniedError" || d.Status != 403 || d.Code != string(policies.NotGranted) ||
		!strings.Contains(d.Message, refusal.Title) {
		t.Errorf("a request without a grant ends with %+v, want %q", d, refusal.Title)
	}
	if s := got.Stranger; s.Class != "AuthenticationError" || s.Status != 401 || s.Code != string(policies.TokenMalformed) {
		t.Errorf("a request without a consumer token ends with %+v", s)
	}
}
