package e2e_test

import (
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyward/manager/matrix/message"
	"keyward/manager/matrix/message/hostile"
	"keyward/policies"
	"keyward/tests/testenv"
)

// page shows what rooms show, and then looks at it as a reader does: which
// elements there are, and whether each line begins with its verdict.
const page = `<!doctype html><meta charset="utf-8"><style>div{font:16px sans-serif}</style><body>%s<script>
let elements = {}, lines = 0, amiss = [], ran = window.ran || 0;
for (const e of document.querySelectorAll('div *')) {
  elements[e.tagName] = (elements[e.tagName] || 0) + 1;
  if (e.attributes.length) amiss.push('attribute on ' + e.outerHTML.slice(0, 100));
}
for (const d of document.querySelectorAll('div')) {
  for (const s of d.querySelectorAll('strong')) {
    lines++;
    if (s.getClientRects()[0].left - d.getBoundingClientRect().left > 1) amiss.push('not first: ' + s.parentNode.innerText.slice(0, 100));
    if (getComputedStyle(s).direction !== 'ltr') amiss.push('direction');
  }
}
const report = document.createElement('pre');
report.id = 'report';
report.textContent = JSON.stringify({elements, lines, amiss, ran});
document.body.replaceChildren(report);
</script>`

// seen is what the page found.
type seen struct {
	Elements map[string]int `json:"elements"`
	Lines    int            `json:"lines"`
	Amiss    []string       `json:"amiss"`
	Ran      int            `json:"ran"` // scripts of the messages
}

var reported = regexp.MustCompile(`(?s)<pre id="report">(.*?)</pre>`)

// TestHostileTextShowsAsText sends an attacker's names and arguments through a
// homeserver and looks at them in a browser, and at answers to commands that repeat
// them.
func TestHostileTextShowsAsText(t *testing.T) {
	skipUnlessE2E(t)
	w := newMatrixWorld(t, testenv.StartSynapse(t, testenv.HomeserverOptions{}))
	w.worker(t, "worker-a")
	w.serve(t)
	place := w.placed(t, "worker:worker-a")
	for _, s := range hostile.Texts {
		short := s[:min(len(s), policies.MaxRecordText)]
		arguments, err := json.Marshal(map[string]string{"x": short})
		if err != nil {
			t.Fatal(err)
		}
		w.seq++
		err = w.AppendRecords(t.Context(), "gateway", "vm", []policies.Record{{
			Type: policies.RecordDecision, ID: fmt.Sprintf("d%d", w.seq), Time: time.Now().UTC(), Sequence: w.seq, Kind: policies.KindMCP,
			Consumer: "worker-a", Target: "github", Method: "tools/call", Name: short, Arguments: policies.JSON(arguments),
			Verdict: policies.Deny, Reason: policies.Reason("policy_denied"), Details: []string{short}, Rules: []string{short},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.settled(t)
	tl := w.shows(t, place, len(hostile.Texts))
	var shown strings.Builder
	for _, m := range tl.Messages {
		if lines := strings.Count(m.Body, "\n") + 1; m.Records != nil && lines != len(m.Records.Entries) {
			t.Errorf("%d entries take %d lines", len(m.Records.Entries), lines)
		}
		fmt.Fprintf(&shown, "<div>%s</div>\n", m.HTML)
	}
	for _, text := range hostile.Texts { // as commands are answered
		var n message.Note
		n.Add("because: % %, and", text, text)
		fmt.Fprintf(&shown, "<div>%s</div>\n", n.Content().FormattedBody)
	}
	file := filepath.Join(t.TempDir(), "rooms.html")
	if err := os.WriteFile(file, fmt.Appendf(nil, page, shown.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	found := reported.FindStringSubmatch(testenv.RenderHTML(t, file))
	if found == nil {
		t.Fatal("the page reports nothing")
	}
	var r seen
	if err := json.Unmarshal([]byte(html.UnescapeString(found[1])), &r); err != nil {
		t.Fatal(err)
	}
	for tag := range r.Elements {
		if tag != "BR" && tag != "CODE" && tag != "STRONG" {
			t.Errorf("the messages hold %d <%s>", r.Elements[tag], tag)
		}
	}
	if r.Ran != 0 || len(r.Amiss) > 0 || r.Lines != len(hostile.Texts) {
		t.Errorf("%d lines of %d, %d scripts ran, amiss: %q", r.Lines, len(hostile.Texts), r.Ran, r.Amiss)
	}
}
