package message

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"keyward/manager/matrix/message/hostile"
	"keyward/policies"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func call(i uint64) Entry {
	return Entry{
		Index: i, ID: fmt.Sprintf("01J%d", i), Time: noon, Kind: MCP, Consumer: "worker-a", Target: "github",
		Method: "tools/call", Name: "create_issue", Arguments: `{"title":"x"}`, Verdict: policies.Allow,
	}
}

// checkHTML fails t when s holds any tag but ours, or any attribute.
func checkHTML(t *testing.T, s string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(s))
	open := ""
	for {
		switch z.Next() {
		case html.ErrorToken:
			if open != "" {
				t.Errorf("%.200q leaves <%s> open", s, open)
			}
			return
		case html.StartTagToken:
			tok := z.Token()
			if len(tok.Attr) > 0 || tok.Data != "br" && tok.Data != "code" && tok.Data != "strong" {
				t.Errorf("%.200q holds %s", s, tok)
			}
			if tok.Data != "br" {
				open = tok.Data
			}
		case html.EndTagToken:
			if tok := z.Token(); tok.Data != open {
				t.Errorf("%.200q closes %s within <%s>", s, tok, open)
			}
			open = ""
		case html.TextToken:
			if text := z.Token().Data; open == "code" {
				checkText(t, s, text)
			}
		default:
			t.Errorf("%.200q holds %s", s, z.Token())
		}
	}
}

// text returns what a reader of the HTML body sees.
func text(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	for z := html.NewTokenizer(strings.NewReader(s)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			b.WriteString(z.Token().Data)
		case html.StartTagToken:
			if z.Token().Data == "br" {
				b.WriteString("\n")
			}
		}
	}
}

func TestHostileEntriesMakeOneHarmlessLine(t *testing.T) {
	for _, s := range hostile.Texts {
		for _, kind := range []Kind{MCP, LLM, HTTP, Auth, Action, Gap, Kind(s)} {
			e := Entry{
				Index: 1, ID: s, Time: noon, Kind: kind, Consumer: s, Target: s, Method: s, Name: s, Arguments: s,
				Reason: policies.Reason(s), Details: []string{s, s, s, s}, Rules: []string{s, s, s, s, s},
				Actor: s, Did: s, Object: s,
			}
			c, n := Pack([]Entry{e}, Options{})
			if n != 1 {
				t.Fatalf("Pack took %d of 1", n)
			}
			if strings.Contains(c.Body, "\n") || strings.Contains(c.FormattedBody, "<br>") {
				t.Errorf("%.80q makes more than one line: %q", s, c.Body)
			}
			checkHTML(t, c.FormattedBody)
			if got := text(t, c.FormattedBody); got != c.Body {
				t.Errorf("the bodies differ:\n%s", cmp.Diff(c.Body, got))
			}
			if m := linked[4].FindString(c.Body); m != "" || strings.Contains(c.Body, "@room") || strings.Contains(c.Body, "://") {
				t.Errorf("%q holds a mention or a link", c.Body)
			}
			checkSize(t, c)
		}
	}
}

// checkSize fails t when c is larger than a homeserver takes.
func checkSize(t *testing.T, c Content) {
	t.Helper()
	if n := encoded(c); n > 60_000 {
		t.Errorf("content has %d bytes", n)
	}
}

func TestLinesReadAtAGlance(t *testing.T) {
	denied := call(2)
	denied.Verdict, denied.Reason = policies.Deny, policies.DeniedByRule
	denied.Details, denied.Rules = []string{"no deletes on Fridays"}, []string{"policy.rego:12"}
	answered := call(1)
	answered.Status, answered.Duration = 200, 42*time.Millisecond
	asked := Entry{Index: 3, Time: noon, Kind: HTTP, Consumer: "worker-a", Target: "git", Method: "POST", Verdict: policies.Ask, Reason: policies.AskFirst}
	action := Entry{Index: 4, Time: noon, Kind: Action, Actor: "adm_1", Did: "consumer.suspend", Object: "worker-a", ID: "req1"}
	gap := Entry{Index: 5, Time: noon, Kind: Gap, Lost: 3, Object: "vm 7"}
	c, n := Pack([]Entry{answered, denied, asked, action, gap}, Options{})
	if n != 5 {
		t.Fatalf("Pack took %d of 5", n)
	}
	want := `✅ allowed 12:00:00 · worker-a · github · tools/call create_issue {"title":"x"} · status 200 · 42 ms · 01J1
⛔ denied 12:00:00 · worker-a · github · tools/call create_issue {"title":"x"} · because denied_by_rule (no deletes on Fridays) · rule policy[.]rego[:]12 · 01J2
⏸ asks 12:00:00 · worker-a · git · POST · because approval_required
⚙ 12:00:00 · adm_1 · consumer[.]suspend · worker-a · req1
⚠ 12:00:00 lost 3 records · vm 7`
	if diff := cmp.Diff(want, c.Body); diff != "" {
		t.Errorf("body differs (-want +got):\n%s", diff)
	}
	if c.Records.First != 1 || c.Records.Last != 5 || len(c.Records.Entries) != 5 {
		t.Errorf("records = %+v", c.Records)
	}
}

func TestDigestsAddUpTokens(t *testing.T) {
	var entries []Entry
	for i, e := range []Entry{
		{Kind: LLM, Tokens: 40}, {Kind: LLM}, {Kind: LLM, Tokens: 2}, {Kind: Answer, Tokens: 7000, Status: 200},
	} {
		e.Index, e.Time, e.Consumer, e.Target, e.Verdict = uint64(i), time.Unix(1, 0), "worker-a", "openai", policies.Allow
		entries = append(entries, e)
	}
	c, n := Pack(entries, Options{})
	want := "📊 3 LLM requests ✅ allowed · worker-a · openai · 42 tokens\n📊 1 LLM answers that took longer · worker-a · openai · 7000 tokens"
	if n != 4 || c.Body != want || c.Records.Digests[0].Tokens != 42 || c.Records.Digests[1].Tokens != 7000 {
		t.Errorf("%d entries, %q, want %q", n, c.Body, want)
	}
	c, _ = Pack(entries, Options{EachLLM: true})
	if !strings.Contains(c.Body, "worker-a · openai · 40 tokens") || !strings.Contains(c.Body, "0 bytes · 7000 tokens · worker-a") {
		t.Errorf("a line each: %s", c.Body)
	}
}

func TestLLMAndAuthEntriesAreCounted(t *testing.T) {
	var entries []Entry
	for i := range uint64(1000) {
		e := call(i)
		if i%10 != 0 {
			e.Kind, e.Target, e.Method = LLM, "openai", "POST"
		}
		entries = append(entries, e)
	}
	c, n := Pack(entries[:300], Options{})
	if n != 300 {
		t.Fatalf("Pack took %d of 300", n)
	}
	if len(c.Records.Entries) != 30 || len(c.Records.Digests) != 1 || c.Records.Digests[0].Count != 270 {
		t.Errorf("%d entries, digests %+v", len(c.Records.Entries), c.Records.Digests)
	}
	if want := "📊 270 LLM requests ✅ allowed · worker-a · openai"; !strings.HasSuffix(c.Body, want) {
		t.Errorf("body ends %q, want %q", c.Body[len(c.Body)-60:], want)
	}
	if c, _ := Pack(entries[:50], Options{EachLLM: true}); len(c.Records.Entries) != 50 || len(c.Records.Digests) != 0 {
		t.Errorf("with a line each: %d entries, %d digests", len(c.Records.Entries), len(c.Records.Digests))
	}
}

func TestEveryEntryIsInOneMessage(t *testing.T) {
	var entries []Entry
	for i := range uint64(5000) {
		e := call(i)
		e.Kind = []Kind{MCP, LLM, HTTP, Auth, Action, Gap, Matrix}[i%7]
		e.Consumer = hostile.Texts[int(i*7)%len(hostile.Texts)]
		e.Arguments = hostile.Texts[int(i*13)%len(hostile.Texts)]
		e.Verdict = policies.Verdict(i % 3)
		entries = append(entries, e)
	}
	seen, messages, next := 0, 0, uint64(0)
	for rest := entries; len(rest) > 0; messages++ {
		c, n := Pack(rest, Options{})
		if n == 0 {
			t.Fatal("Pack took nothing")
		}
		if c.Records.First != next || c.Records.Last != next+uint64(n)-1 {
			t.Fatalf("message covers %d to %d, want %d to %d", c.Records.First, c.Records.Last, next, next+uint64(n)-1)
		}
		for _, d := range c.Records.Digests {
			seen += d.Count
		}
		seen += len(c.Records.Entries)
		next, rest = next+uint64(n), rest[n:]
		if lines := strings.Count(c.Body, "\n") + 1; lines > maxLines || lines != len(c.Records.Entries)+len(c.Records.Digests) {
			t.Errorf("message has %d lines", lines)
		}
		checkHTML(t, c.FormattedBody)
		checkSize(t, c)
	}
	if seen != len(entries) {
		t.Errorf("%d entries are in %d messages, want %d", seen, messages, len(entries))
	}
}

func TestAMessageMentionsNobody(t *testing.T) {
	c, _ := Pack([]Entry{call(1)}, Options{})
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"m.mentions":{}`) || c.MsgType != "m.notice" {
		t.Errorf("content = %s", b)
	}
}

func TestTheSameEntriesMakeTheSameMessage(t *testing.T) {
	entries := []Entry{call(1), call(2)}
	a, _ := Pack(entries, Options{})
	b, _ := Pack(entries, Options{})
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
}

func TestNoEntriesMakeNoMessage(t *testing.T) {
	if _, n := Pack(nil, Options{}); n != 0 {
		t.Errorf("Pack(nil) took %d", n)
	}
}
