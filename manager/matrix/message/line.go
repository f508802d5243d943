package message

import (
	"html"
	"strconv"
	"strings"
	"time"

	"keyward/policies"
)

// Bounds of one line, in characters, so that no entry fills a room.
const (
	maxName      = 96
	maxArguments = 240
	maxDetail    = 160
	maxDetails   = 3
	maxRules     = 4
)

// A line is one line of a message in its two forms, built together so that
// they can't differ.
type line struct{ plain, html strings.Builder }

// own writes text of ours, which needs no care.
func (l *line) own(s string) {
	l.plain.WriteString(s)
	l.html.WriteString(html.EscapeString(s))
}

// strong writes text of ours that the eye should find first.
func (l *line) strong(s string) {
	l.plain.WriteString(s)
	l.html.WriteString("<strong>" + html.EscapeString(s) + "</strong>")
}

// foreign writes untrusted text; sep goes before it. Empty text leaves out both.
func (l *line) foreign(sep, s string, limit int) {
	if s == "" {
		return
	}
	s = Text(s, limit)
	l.own(sep)
	l.plain.WriteString(s)
	l.html.WriteString("<code>" + html.EscapeString(s) + "</code>")
}

// lineOf renders one entry.
func lineOf(e Entry) *line {
	l := new(line)
	switch e.Kind {
	case Action:
		l.strong("⚙ " + clock(e.Time))
		l.foreign(" · ", e.Actor, maxName)
		l.foreign(" · ", e.Did, maxName)
		l.foreign(" · ", e.Object, maxName)
		l.list(" (", e.Details, maxDetails, maxDetail, ")")
		l.foreign(" · ", e.ID, maxName)
	case Gap:
		what := " a gateway ended; its last records may be missing"
		if e.Lost > 0 {
			what = " lost " + strconv.FormatUint(e.Lost, 10) + " records"
		}
		l.strong("⚠ " + clock(e.Time) + what)
		l.foreign(" · ", e.Object, maxName)
	case Cut:
		l.strong("✂ " + clock(e.Time) + " stream ended")
		l.foreign(" · ", e.Consumer, maxName)
		l.foreign(" · ", e.Target, maxName)
		l.foreign(" · because ", string(e.Reason), maxName)
		l.foreign(" · ", e.ID, maxName)
	case Outcome, Answer:
		l.outcome(e)
	default:
		l.request(e)
	}
	return l
}

func (l *line) outcome(e Entry) {
	status := "without an answer"
	if e.Status != 0 {
		status = "status " + strconv.Itoa(e.Status)
	}
	l.strong("↳ " + clock(e.Time.Add(e.Duration)) + " ended")
	l.own(" · " + status + " · " + strconv.FormatInt(e.Duration.Milliseconds(), 10) + " ms · " + strconv.FormatUint(e.Bytes, 10) + " bytes")
	l.tokens(e.Tokens)
	l.foreign(" · ", e.Consumer, maxName)
	l.foreign(" · ", e.Target, maxName)
	l.foreign(" · ", e.Name, maxName)
	l.foreign(" · ", e.ID, maxName)
}

func (l *line) request(e Entry) {
	l.strong(sign(e.Verdict) + " " + clock(e.Time))
	l.foreign(" · ", e.Consumer, maxName)
	l.foreign(" · ", e.Target, maxName)
	l.foreign(" · ", e.Method, maxName)
	l.foreign(" ", e.Name, maxName)
	l.foreign(" ", e.Arguments, maxArguments)
	if e.Reason != policies.ReasonNone {
		l.own(" · because ")
		l.foreign("", string(e.Reason), maxName)
	}
	l.list(" (", e.Details, maxDetails, maxDetail, ")")
	l.list(" · rule ", e.Rules, maxRules, maxName, "")
	if e.Status != 0 {
		l.own(" · status " + strconv.Itoa(e.Status))
	}
	if e.Duration > 0 {
		l.own(" · " + strconv.FormatInt(e.Duration.Milliseconds(), 10) + " ms")
	}
	l.tokens(e.Tokens)
	l.foreign(" · ", e.ID, maxName)
}

// tokens says what a model took, if that is known.
func (l *line) tokens(n uint64) {
	if n > 0 {
		l.own(" · " + strconv.FormatUint(n, 10) + " tokens")
	}
}

// list writes up to most of items, and how many more there are.
func (l *line) list(before string, items []string, most, limit int, after string) {
	if len(items) == 0 {
		return
	}
	l.own(before)
	sep := ""
	for _, s := range items[:min(len(items), most)] {
		l.foreign(sep, s, limit)
		sep = "; "
	}
	if n := len(items) - most; n > 0 {
		l.own(" and " + strconv.Itoa(n) + " more")
	}
	l.own(after)
}

// sign says a verdict at a glance, in a word too: a sign alone says nothing
// to a screen reader.
func sign(v policies.Verdict) string {
	switch v {
	case policies.Allow:
		return "✅ allowed"
	case policies.Ask:
		return "⏸ asks"
	default:
		return "⛔ denied"
	}
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
