package heartbeat

import (
	"fmt"
	"testing"
	"time"

	"keyward/manager"
	"keyward/policies"
)

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func tool(name, digest string) *policies.Record {
	return &policies.Record{
		Type: policies.RecordDecision, Kind: policies.KindMCP, Target: "github", Method: "tools/call", Name: name,
		Digest: digest, Verdict: policies.Allow, Status: 200, RequestBytes: 100, ResponseBytes: 900,
	}
}

func with(r *policies.Record, change func(*policies.Record)) *policies.Record {
	change(r)
	return r
}

func refused(r *policies.Record, why policies.Reason) *policies.Record {
	r.Verdict, r.Reason, r.Status = policies.Deny, why, 403
	return r
}

func TestCount(t *testing.T) {
	session := func() *policies.Record { return with(tool("", ""), func(r *policies.Record) { r.Method = "ping" }) }
	chat := func(bytes uint64) *policies.Record {
		return with(tool("/v1/chat/completions", ""), func(r *policies.Record) { r.Kind, r.Method, r.RequestBytes = policies.KindLLM, "POST", bytes })
	}
	tests := []struct {
		name    string
		record  func(i int) *policies.Record // one a second for a minute
		want    manager.FactsWindow
		same    int64
		refused int64
		still   bool // nothing new since the first
		quiet   bool // no sign of work
		// background is of the target.
		background bool
	}{
		{
			name: "calls that differ", record: func(i int) *policies.Record { return tool("search", fmt.Sprint(i)) },
			want: manager.FactsWindow{Requests: 60, Allowed: 60}, same: 1,
		},
		{
			name: "always the same call", record: func(int) *policies.Record { return tool("search", "d") },
			want: manager.FactsWindow{Requests: 60, Allowed: 60}, same: 60, still: true,
		},
		{
			name: "three calls in turn", record: func(i int) *policies.Record { return tool("search", fmt.Sprint(i%3)) },
			want: manager.FactsWindow{Requests: 60, Allowed: 60}, same: 20, still: true,
		},
		{
			name: "the same call, but denied", record: func(int) *policies.Record { return refused(tool("delete", "d"), policies.NotGranted) },
			want: manager.FactsWindow{Requests: 60, Denied: 60}, refused: 60, still: true,
		},
		{
			name: "a call that waits for approval", record: func(int) *policies.Record {
				return with(tool("merge", "d"), func(r *policies.Record) { r.Verdict, r.Reason = policies.Ask, policies.AskFirst })
			},
			want: manager.FactsWindow{Requests: 60, Asked: 60}, refused: 60, still: true,
		},
		{
			name: "a session that is kept open is no call", record: func(int) *policies.Record { return session() },
			want: manager.FactsWindow{Requests: 60, Allowed: 60}, still: true,
		},
		{
			name: "a conversation that grows", record: func(i int) *policies.Record { return chat(uint64(100 + i)) },
			want: manager.FactsWindow{Requests: 60, Allowed: 60}, same: 1,
		},
		{
			name: "the same prompt again and again", record: func(int) *policies.Record { return chat(100) },
			want: manager.FactsWindow{Requests: 60, Allowed: 60}, same: 60, still: true,
		},
		{
			name: "prompts whose size is not known are not the same", record: func(int) *policies.Record { return chat(0) },
			want: manager.FactsWindow{Requests: 60, Allowed: 60},
		},
		{
			name: "an upstream that fails", record: func(int) *policies.Record {
				return with(tool("search", "d"), func(r *policies.Record) { r.Status = 502 })
			},
			want: manager.FactsWindow{Requests: 60, Failed: 60}, still: true,
		},
		{
			name: "a gateway that can't say is not the Worker's fault", record: func(int) *policies.Record {
				return refused(tool("search", "d"), policies.SnapshotStale)
			},
			want: manager.FactsWindow{Requests: 60, Failed: 60}, still: true,
		},
		{
			name: "waiting for messages is no work", record: func(int) *policies.Record {
				return with(tool("/_matrix/client/v3/sync", ""), func(r *policies.Record) { r.Kind, r.Method = policies.KindHTTP, "GET" })
			},
			want: manager.FactsWindow{Requests: 60, Allowed: 60}, still: true, quiet: true,
		},
		{
			name: "nor is what is in the background", record: func(int) *policies.Record { return tool("list", "d") },
			want: manager.FactsWindow{Requests: 60, Allowed: 60}, still: true, quiet: true, background: true,
		},
		{
			name: "unless it is refused", record: func(int) *policies.Record { return refused(tool("list", "d"), policies.NotGranted) },
			want: manager.FactsWindow{Requests: 60, Denied: 60}, refused: 60, still: true, background: true,
		},
		{
			name: "a Worker that is suspended", record: func(int) *policies.Record {
				return refused(tool("search", "d"), policies.ConsumerPaused)
			},
			still: true,
		},
		{
			name: "a stream that was cut", record: func(int) *policies.Record {
				return with(tool("search", "d"), func(r *policies.Record) { r.Type = policies.RecordCut })
			},
			still: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCounter(noon.Add(-time.Hour), time.Time{})
			for i := range 60 {
				c.add(tt.record(i), noon.Add(time.Duration(i)*time.Second), tt.background)
			}
			var f manager.WorkerFacts
			c.facts(&f, noon.Add(time.Minute), noon.Add(-time.Hour))
			if f.Window != tt.want {
				t.Errorf("window = %+v, want %+v", f.Window, tt.want)
			}
			if f.Repeated.Count != tt.same || f.Refused.Count != tt.refused {
				t.Errorf("repeated %+v, refused %+v; want %d and %d", f.Repeated, f.Refused, tt.same, tt.refused)
			}
			if quiet := f.QuietSeconds > 30; quiet != (tt.quiet || tt.want.Requests == 0) {
				t.Errorf("no request for %d s", f.QuietSeconds)
			}
			if still := f.StillSeconds > 30; still != tt.still {
				t.Errorf("nothing new for %d s", f.StillSeconds)
			}
		})
	}
}

func TestCountForgets(t *testing.T) {
	c := newCounter(noon, noon.Add(-2*time.Hour))
	for i := range 30 {
		c.add(tool("search", "d"), noon.Add(time.Duration(i)*time.Second), false)
	}
	at := func(d time.Duration) (f manager.WorkerFacts) {
		c.facts(&f, noon.Add(d), noon)
		return f
	}
	if f := at(time.Minute); f.Window.Requests != 30 || f.Hour.Bytes != 30_000 || f.Repeated.Count != 30 || f.QuietSeconds != 31 {
		t.Errorf("after a minute: %+v", f)
	}
	if f := at(11 * time.Minute); f.Window != (manager.FactsWindow{}) || f.Repeated.Count != 0 || f.Hour.Requests != 30 {
		t.Errorf("after the window: %+v", f)
	}
	if f := at(61 * time.Minute); f.Hour != (manager.FactsUsage{}) {
		t.Errorf("after an hour: %+v", f)
	}
	c.add(tool("search", "d"), noon.Add(61*time.Minute), false) // the slots are used again
	if f := at(61 * time.Minute); f.Hour.Requests != 1 || f.Window.Requests != 1 || f.StillSeconds != 0 {
		t.Errorf("after all that: %+v", f)
	}
	c.restart(noon.Add(62 * time.Minute))
	c.add(tool("search", "d"), noon.Add(61*time.Minute), false)
	if f := at(63 * time.Minute); f.Hour != (manager.FactsUsage{}) || f.QuietSeconds != 60 {
		t.Errorf("started anew: %+v", f)
	}
}

func TestTokensAreCounted(t *testing.T) {
	chat := func(change func(*policies.Record)) *policies.Record {
		r := tool("/v1/chat/completions", "")
		r.Kind, r.Method = policies.KindLLM, "POST"
		change(r)
		return r
	}
	took := func(in, out uint64) func(*policies.Record) {
		return func(r *policies.Record) { r.Tokens = &policies.Tokens{Input: in, Output: out} }
	}
	const most = manager.MaxHourTokens
	tests := []struct {
		name   string
		record *policies.Record
		want   manager.FactsUsage // of it alone
	}{
		{"an answer that tells", chat(took(12, 30)), manager.FactsUsage{Tokens: 42, InputTokens: 12, OutputTokens: 30}},
		{"one that took nothing", chat(took(0, 0)), manager.FactsUsage{}},
		{"one that does not tell", chat(func(*policies.Record) {}), manager.FactsUsage{Unmetered: 1}},
		{"one that has not ended", chat(func(r *policies.Record) { r.Status = 0 }), manager.FactsUsage{}},
		{"its end", chat(func(r *policies.Record) { r.Type = policies.RecordOutcome; took(12, 30)(r) }), manager.FactsUsage{Tokens: 42, InputTokens: 12, OutputTokens: 30}},
		{"its end, which does not tell", chat(func(r *policies.Record) { r.Type = policies.RecordOutcome }), manager.FactsUsage{Unmetered: 1}},
		{"one that was refused", refused(chat(func(*policies.Record) {}), policies.NotGranted), manager.FactsUsage{}},
		{"one that failed", chat(func(r *policies.Record) { r.Status = 500 }), manager.FactsUsage{}},
		{"a list of models", chat(func(r *policies.Record) { r.Method = "GET" }), manager.FactsUsage{}},
		{"a call of a tool", tool("search", "d"), manager.FactsUsage{}},
		{"a provider that boasts", chat(took(1<<63-1, 1<<63-1)), manager.FactsUsage{Tokens: 2 * most, InputTokens: most, OutputTokens: most}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCounter(noon, time.Time{})
			c.add(tt.record, noon.Add(time.Second), false)
			var f manager.WorkerFacts
			c.facts(&f, noon.Add(time.Minute), noon)
			f.Hour.Requests, f.Hour.Bytes = 0, 0
			if f.Hour != tt.want {
				t.Errorf("%+v, want %+v", f.Hour, tt.want)
			}
		})
	}
}

// TestCountIsBounded: a Worker that makes up names takes no more room for it.
func TestCountIsBounded(t *testing.T) {
	c := newCounter(noon, time.Time{})
	for i := range 10 * maxCalls {
		c.add(tool(fmt.Sprint("made-up-", i), "d"), noon.Add(time.Duration(i)*time.Millisecond), false)
	}
	if len(c.calls) > maxCalls {
		t.Errorf("%d calls are kept", len(c.calls))
	}
	huge := with(tool("big", "d"), func(r *policies.Record) { r.RequestBytes, r.ResponseBytes = 1<<63, 1<<62 })
	for range 100 {
		c.add(huge, noon.Add(time.Minute), false)
	}
	var f manager.WorkerFacts
	if c.facts(&f, noon.Add(time.Minute), noon); f.Hour.Bytes < 0 {
		t.Errorf("%d bytes", f.Hour.Bytes)
	}
}
