package api_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"keyward/manager"
	"keyward/manager/audit"
	"keyward/manager/client"
	"keyward/policies"
)

// logged lets a gateway send records of two Workers.
func (s *server) logged(t *testing.T) {
	t.Helper()
	var list []policies.Record
	for n := range uint64(8) {
		r := policies.Record{
			Type: policies.RecordDecision, ID: fmt.Sprintf("01J%d", n), Time: time.Unix(int64(n), 0).UTC(), Sequence: n + 1,
			Kind: policies.KindMCP, Consumer: fmt.Sprintf("worker-%d", n%2), Target: "github", Method: "tools/call", Name: "read",
			Verdict: policies.Allow, Arguments: `{"a":"<b>"}`,
		}
		if n%4 == 3 {
			r.Name, r.Verdict, r.Reason, r.Rules = "del%te", policies.Deny, policies.DeniedByRule, []string{"a.rego:1", "policy_x.rego:12"}
		}
		list = append(list, r)
	}
	if err := s.store.AppendRecords(t.Context(), "edge", "vm", list); err != nil {
		t.Fatal(err)
	}
}

func TestTheLogIsFoundByWhatItIsAbout(t *testing.T) {
	s := newServer(t)
	s.logged(t)
	for query, want := range map[string]int{
		"kind=decision":              8,
		"consumer=worker-1":          4,
		"target=github":              8,
		"target=other":               0,
		"name=del%25te":              2,
		"name=del%25":                0,
		"verdict=deny":               2,
		"reason=denied_by_rule":      2,
		"rule=policy_x.rego:12":      2,
		"rule=policyxx.rego:12":      0,
		"rule=policy_x.rego:1":       0,
		"rule=a.rego:1":              2,
		"id=01J5":                    1,
		"until=2000-01-01T00:00:00Z": 0,
		"kind=decision&since=2000-01-01T00:00:00Z": 8,
	} {
		r := s.must(t, 200, s.auditor, "GET /v1/log?"+query, "")
		if got := strings.Count(r.text, `"position"`); got != want {
			t.Errorf("%s: %d entries, want %d: %s", query, got, want, r.text)
		}
	}
	r := s.must(t, 200, s.auditor, "GET /v1/log?id=01J3", "")
	for _, want := range []string{`"arguments":{"a":"<b>"}`, `"verdict":"deny"`, `"gateway":"edge"`} {
		if !strings.Contains(strings.ReplaceAll(r.text, `\u003cb\u003e`, "<b>"), want) {
			t.Errorf("an entry lacks %s: %s", want, r.text)
		}
	}
}

func TestTheLogIsReadPageByPage(t *testing.T) {
	s := newServer(t)
	s.logged(t)
	c, err := client.New(s.URL, s.auditor, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := client.All(t.Context(), func(ctx context.Context, p manager.Page) (manager.List[manager.LogEntry], error) {
		p.Limit = 3
		return c.Log(ctx, client.LogFilter{}, p)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		if e.Position != uint64(i) {
			t.Errorf("position %d, want %d", e.Position, i)
		}
	}
	events, err := client.All(t.Context(), func(ctx context.Context, p manager.Page) (manager.List[manager.Event], error) {
		p.Limit = 1
		return c.Events(ctx, client.EventFilter{}, p)
	})
	if err != nil {
		t.Fatal(err)
	}
	if size, err := s.store.LogSize(t.Context()); err != nil || len(entries) != int(size) || len(events) != int(size)-8 {
		t.Errorf("read %d entries and %d events, of %d; %v", len(entries), len(events), size, err)
	}
}

func TestWhatTheAPIExportsVerifies(t *testing.T) {
	s := newServer(t)
	s.logged(t)
	c, err := client.New(s.URL, s.auditor, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.keeper.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.ExportLog(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	r, err := audit.Verify(&b, audit.Trust{Key: s.keeper.PublicKey(), Checkpoints: []string{first.Note}}, nil)
	if err != nil || len(r.Findings) != 0 || r.Entries != first.Size {
		t.Errorf("report = %+v, %v", r, err)
	}
	p, err := c.ProveEntry(t.Context(), first.Size, 2)
	if err != nil {
		t.Fatal(err)
	}
	var proof tlog.RecordProof
	for _, text := range p.Hashes {
		h, err := tlog.ParseHash(text)
		if err != nil {
			t.Fatal(err)
		}
		proof = append(proof, h)
	}
	root, err := tlog.ParseHash(p.Root)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := s.store.Log(t.Context(), 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckRecord(proof, int64(p.Size), root, 2, manager.LeafHash(entries[0].Body)); err != nil {
		t.Error(err)
	}
}
