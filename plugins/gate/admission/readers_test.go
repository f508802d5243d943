package admission_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/filter/filtertest"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/policies/engine"
)

// argued is a call with arguments that no other call has: long enough for each
// to lie over another's, and with a name that a grant is bound to.
func argued(tool, mark string, n int) (body, arguments string) {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"k%d":["%s\u0041",{"n":%d}],`, i, mark, i)
	}
	arguments = `{` + b.String() + `"repo":"` + mark + `"}`
	return `{"jsonrpc":"2.0","id":"` + mark + `","method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`, arguments
}

// TestRequestsSeeTheirOwnArgumentsAlone has many requests open in one VM, reads
// the bodies of others between a request's callbacks, and looks at what is done
// with the first one's last: its record, a new decision, and its refusal.
func TestRequestsSeeTheirOwnArgumentsAlone(t *testing.T) {
	tok := newToken(t, "k")
	s := snapshotOf(t, tok)
	s.Targets[0].Audit = &snapshot.Audit{Arguments: true}
	grant := func(repos ...any) {
		s.Consumers[0].Grants[0].Arguments = map[string]map[string][]any{"read": {"repo": repos}}
	}
	var marks []string
	var all []any
	for i := range 40 {
		marks = append(marks, fmt.Sprintf("m%03d", i))
		all = append(all, marks[i])
	}
	grant(all...)
	g := newLiveGate(t)
	g.configure(t, nil)
	g.publish(t, s)

	bodies, want := map[string]string{}, map[string]string{}
	for i, mark := range marks {
		bodies[mark], want[mark] = argued("read", mark, i*i%97)
	}
	foul := func() { // leaves its arguments where others' were
		for _, mark := range []string{"x", "yyyyyyyyyyyy"} {
			b, _ := argued("read", mark, 60)
			if r := verdictIn(t, g.Plugin, tok, b); r != policies.NotGranted {
				t.Fatalf("repository %s: %q", mark, r)
			}
		}
	}
	list, l := g.begin(t, post(tok, `{"jsonrpc":"2.0","id":"l\u0031","method":"tools/list"}`), "text/event-stream")
	streams := map[string]*eventStream{}
	handlers := map[string]filter.Handler{}
	for i, mark := range marks {
		if foul(); i%3 == 0 && i > 0 { // one that is done makes room for the next
			handlers[marks[i-1]].Done()
		}
		m := post(tok, bodies[mark])
		streams[mark], handlers[mark] = g.begin(t, m, "text/event-stream")
	}
	for i, mark := range marks {
		if (i+1)%3 != 0 || i == len(marks)-1 {
			if got, ok := streams[mark].chunk(handlers[mark], progress); !ok || got != progress {
				t.Fatalf("%s does not go on: %q", mark, got)
			}
		}
	}
	tools := `data: {"jsonrpc":"2.0","id":"l1","result":{"tools":[{"name":"read"},{"name":"delete"}]}}` + "\n\n"
	if got, _ := list.chunk(l, tools); !strings.Contains(got, `[{"name":"read"}]`) {
		t.Errorf("the list is %q", got)
	}
	l.Done()

	// What is decided again is decided by its own arguments.
	left := all[:len(all)/2]
	grant(left...)
	s.Generation++
	g.publish(t, s)
	foul()
	g.pass(time.Millisecond) // one tick
	for i, mark := range marks {
		if (i+1)%3 == 0 && i != len(marks)-1 {
			continue // done
		}
		got, _ := streams[mark].chunk(handlers[mark], progress)
		if (got == progress) != (i < len(left)) || got != progress && got != "" && !strings.Contains(got, `"id":"`+mark+`"`) {
			t.Errorf("%s gets %q", mark, got)
		}
		handlers[mark].Done()
	}
	g.pass(5 * time.Second)
	seen := map[string]bool{}
	for _, r := range g.records {
		if r.Type != policies.RecordDecision || r.Method != "tools/call" || r.Verdict != policies.Allow {
			continue
		}
		mark := ""
		for m, arguments := range want {
			if sum := sha256.Sum256(canonical(t, arguments)); hex.EncodeToString(sum[:]) == r.Digest {
				mark = m
			}
		}
		if mark == "" || seen[mark] {
			t.Errorf("a record has the digest of no call, or of one that another has: %s", r.Arguments)
		}
		if seen[mark] = true; r.Arguments != "" && strings.Count(string(r.Arguments), "m0") != strings.Count(string(r.Arguments), mark) {
			t.Errorf("the record of %s has arguments of others: %s", mark, r.Arguments)
		}
	}
	if len(seen) != len(marks) {
		t.Errorf("%d calls are recorded of %d", len(seen), len(marks))
	}
}

func verdictIn(t *testing.T, p filter.Plugin, tok, body string) policies.Reason {
	t.Helper()
	r := filtertest.Run(p, filtertest.Exchange{Request: post(tok, body)})
	if len(r.Faults) > 0 {
		t.Fatalf("faults: %q", r.Faults)
	}
	if r.Upstream != nil {
		return policies.ReasonNone
	}
	_, rest, _ := strings.Cut(r.Client.Text(), `"reason":"`)
	reason, _, _ := strings.Cut(rest, `"`)
	return policies.Reason(reason)
}

// canonical is arguments in the form that digests are of.
func canonical(t *testing.T, arguments string) []byte {
	t.Helper()
	v, err := engine.ParseJSON([]byte(arguments), engine.JSONLimits{})
	if err != nil {
		t.Fatal(err)
	}
	return v.AppendJSON(nil)
}
