package decisionlog_test

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/plugins/logs"

	"keyward/manager"
	"keyward/manager/forward"
	"keyward/policies"
)

func TestOPAReadsItsDecisionLog(t *testing.T) {
	var events []logs.EventV1
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		d := json.NewDecoder(z)
		d.DisallowUnknownFields()
		if err := d.Decode(&events); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	sink, err := forward.NewOPA(forward.Receiver{URL: srv.URL + "/logs"})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 4, 3, 2, 1, 5, time.UTC)
	entries := []manager.LogEntry{
		{Position: 6, Entry: manager.Entry{Kind: manager.EntryAction, Event: &manager.Event{Action: "consumer.suspend"}}},
		{Position: 7, Entry: manager.Entry{Kind: manager.EntryDecision, Gateway: "edge", VM: "a.1", Record: &policies.Record{
			Type: policies.RecordDecision, ID: "01J", Time: at, Sequence: 3, Kind: policies.KindMCP, Consumer: "worker-a", Target: "github",
			Host: "gw", Method: "tools/call", Name: "create_issue", Verdict: policies.Deny, Reason: policies.NotGranted, Details: []string{"no"},
			Rules: []string{"policy.rego:12"}, Policy: "p7", Status: 200, Duration: time.Second, Arguments: `{"title":"x"}`, Digest: "ab",
			Erased: []string{"/arguments/a"}, Masked: []string{"/arguments/b"},
		}}},
		{Position: 8, Entry: manager.Entry{Kind: manager.EntryCut, Gateway: "edge", VM: "a.1", Record: &policies.Record{
			Type: policies.RecordCut, ID: "01K", Of: "01H", Time: at, Verdict: policies.Deny, Reason: policies.TokenRevoked,
		}}},
	}
	if err := sink.Send(t.Context(), "epoch", entries); err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 {
		t.Fatalf("%d events, want 2", len(events))
	}
	e := events[0]
	if e.DecisionID != "01J" || !e.Timestamp.Equal(at) || e.Bundles["keyward"].Revision != "p7" || e.Path != "keyward/allow" ||
		e.RequestID != 7 || e.Labels["id"] != "epoch" || e.Labels["position"] != "7" {
		t.Errorf("event = %+v", e)
	}
	if diff := cmp.Diff(any(map[string]any{
		"kind": "mcp", "consumer": "worker-a", "target": "github", "host": "gw", "method": "tools/call", "name": "create_issue",
		"arguments": map[string]any{"title": "x"}, "arguments_sha256": "ab",
	}), *e.Input); diff != "" {
		t.Errorf("input (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(any(map[string]any{
		"verdict": "deny", "reason": "not_granted", "details": []any{"no"}, "rules": []any{"policy.rego:12"}, "status": 200.0,
	}), *e.Result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"/arguments/a"}, {"/arguments/b"}}, [][]string{e.Erased, e.Masked}); diff != "" {
		t.Errorf("masks (-want +got):\n%s", diff)
	}
	if r := (*events[1].Result).(map[string]any); r["cut"] != "01H" || events[1].DecisionID != "01K" {
		t.Errorf("cut = %+v", events[1])
	}
}
