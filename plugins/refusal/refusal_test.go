package refusal_test

import (
	"encoding/json"
	"testing"

	"keyward/plugins/refusal"
	"keyward/policies"
)

func TestNew(t *testing.T) {
	tests := []struct {
		name      string
		style     refusal.Style
		reason    policies.Reason
		decision  string
		status    int
		media     string
		wantAuth  int
		wantPaths map[string]string
	}{
		{
			"a problem names reason and decision", refusal.Problem, policies.NotGranted, "D1", 403, "application/problem+json", 0,
			map[string]string{"reason": "not_granted", "decision": "D1", "type": "urn:keyward:reason:not_granted"},
		},
		{
			"a missing token is challenged for Bearer and Basic", refusal.Problem, policies.TokenMissing, "D1", 401, "application/problem+json", 2,
			map[string]string{"reason": "token_missing"},
		},
		{
			"an LLM client is challenged for Bearer alone", refusal.LLM, policies.TokenUnknown, "D1", 401, "application/json", 1,
			map[string]string{"reason": "token_unknown", "type": "error"},
		},
		{"an unknown reason looks like an internal one", refusal.Problem, "no_such_reason", "", 503, "application/problem+json", 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := refusal.New(tt.style, tt.reason, tt.decision)
			if r.Status != tt.status || r.Headers[0][1] != tt.media {
				t.Errorf("New = %d %q, want %d %q", r.Status, r.Headers[0][1], tt.status, tt.media)
			}
			var auth int
			for _, h := range r.Headers {
				if h[0] == "www-authenticate" {
					auth++
				}
			}
			if auth != tt.wantAuth {
				t.Errorf("%d challenges, want %d", auth, tt.wantAuth)
			}
			var got map[string]any
			if err := json.Unmarshal(r.Body, &got); err != nil {
				t.Fatalf("body is not JSON: %v", err)
			}
			for k, want := range tt.wantPaths {
				if got[k] != want {
					t.Errorf("%s = %v, want %q", k, got[k], want)
				}
			}
		})
	}
}

func TestLLMShape(t *testing.T) {
	var got struct {
		Error struct{ Message, Type, Code string }
	}
	if err := json.Unmarshal(refusal.New(refusal.LLM, policies.NotGranted, "D1").Body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Error.Type != "permission_error" || got.Error.Code != "not_granted" || got.Error.Message == "" {
		t.Errorf("error = %+v, want a permission_error with code and message", got.Error)
	}
}
