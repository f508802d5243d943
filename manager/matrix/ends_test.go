package matrix

import (
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/matrix/message"
	"keyward/policies"
)

// The end of a request is shown where it tells something, and as what it is.
func TestEndsThatTellSomethingAreShown(t *testing.T) {
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name string
		r    policies.Record
		want string // "": nothing
	}{
		{
			"a stream that was long open",
			policies.Record{Consumer: "worker-a", Kind: policies.KindMCP, Status: 200, Duration: 90 * time.Second, ResponseBytes: 7},
			"↳ 12:01:30 ended · status 200 · 90000 ms · 7 bytes · worker-a · github · a<b · 01J",
		},
		{
			"a failure of the server",
			policies.Record{Consumer: "worker-a", Kind: policies.KindHTTP, Status: 502, Duration: time.Millisecond},
			"↳ 12:00:00 ended · status 502 · 1 ms · 0 bytes · worker-a · github · a<b · 01J",
		},
		{"no answer", policies.Record{Consumer: "worker-a", Kind: policies.KindMCP}, "↳ 12:00:00 ended · without an answer · 0 ms · 0 bytes · worker-a · github · a<b · 01J"},
		{"as usual", policies.Record{Consumer: "worker-a", Kind: policies.KindMCP, Status: 200, Duration: 40 * time.Millisecond}, ""},
		{"what is counted", policies.Record{Consumer: "worker-a", Kind: policies.KindLLM, Status: 500}, ""},
		{"nobody known", policies.Record{Kind: policies.KindMCP, Status: 401}, ""},
	} {
		tt.r.ID, tt.r.Target, tt.r.Name, tt.r.Time = "01J", "github", "a<b", at
		e, ok := (&Service{}).shown(manager.LogEntry{Position: 3, Entry: manager.Entry{Kind: manager.EntryOutcome, Record: &tt.r}})
		if !ok {
			if tt.want != "" {
				t.Errorf("%s: not shown", tt.name)
			}
			continue
		}
		c, _ := message.Pack([]message.Entry{e}, message.Options{})
		if c.Body != tt.want || strings.Contains(c.FormattedBody, "a<b") {
			t.Errorf("%s: %q, %q, want %q", tt.name, c.Body, c.FormattedBody, tt.want)
		}
	}
}
