package channel_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/plugins/record"
	"keyward/policies"
)

// send posts a batch and returns the status of the answer.
func (w *world) send(token string, body []byte) int {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.url+record.Path, bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func TestAGatewaysRecordsAreKeptOnce(t *testing.T) {
	w := newWorld(t)
	rec := policies.Record{
		Type: policies.RecordDecision, ID: "01J", Time: time.Unix(1, 0).UTC(), Sequence: 1,
		Kind: policies.KindMCP, Consumer: "worker-a", Target: "github", Verdict: policies.Allow,
	}
	good := record.Encode("vm-1", record.Append(nil, &rec))
	before, err := w.store.LogSize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(good), `"decision_id"`, `"gateway":"other","decision_id"`, 1)
	for _, tt := range []struct {
		name, token string
		body        []byte
		want        int
	}{
		{"a batch", w.token, good, 204},
		{"the same batch again", w.token, good, 204},
		{"a batch in another gateway's name", w.token, []byte(forged), 400},
		{"no batch", w.token, []byte("{}"), 400},
		{"a batch beyond its bound", w.token, bytes.Repeat([]byte(" "), record.MaxBytes+1), 413},
		{"a batch of a stranger", manager.GatewayPrefix + "x", good, 401},
	} {
		if got := w.send(tt.token, tt.body); got != tt.want {
			t.Errorf("%s is answered %d, want %d", tt.name, got, tt.want)
		}
	}
	entries, err := w.store.Log(t.Context(), before, 10)
	if err != nil || len(entries) != 1 || entries[0].Gateway != "edge" || entries[0].VM != "vm-1" || entries[0].Record.ID != "01J" {
		t.Errorf("log = %+v, %v", entries, err)
	}
}
