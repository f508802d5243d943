package heartbeat

import (
	"strconv"
	"strings"
	"time"

	"keyward/manager"
	"keyward/policies"
)

// What is counted, and how long.
const (
	window  = 10 * time.Minute // of requests and repeated calls
	history = time.Hour        // of what was taken
	slot    = time.Minute      // that is counted as one
	slots   = int64(history / slot)
	recent  = int64(window / slot)
	// maxCalls is how many calls of a Worker are told apart within the window. Of
	// more the one that was not made for longest is forgotten.
	maxCalls = 512
)

// A count is what a Worker did in one slot of time.
type count struct {
	at                                                 int64 // number of the slot; another one: there is nothing in it
	requests, allowed, denied, asked, failed, bytesAll int64
	tokensIn, tokensOut, unmetered                     int64
}

// A call is one that can be told from others, and how often it was made.
type call struct {
	target, method, name string
	last                 time.Time
	made                 [recent]struct{ at, allowed, refused int64 }
}

// A counter counts what one Worker does. Time is that at which the Manager stored
// a record: one clock for all.
type counter struct {
	from         time.Time // what was before counts for nothing
	last, novel  time.Time // request, and allowed call that was not made in the window before
	counts       [slots]count
	calls        map[string]*call
	lastOfOthers time.Time // request that was before those counted
}

func newCounter(from, last time.Time) *counter {
	return &counter{from: from, lastOfOthers: last, calls: map[string]*call{}}
}

// restart forgets all, if it counts from another instant.
func (c *counter) restart(from time.Time) {
	if !from.Equal(c.from) {
		*c = *newCounter(from, c.last)
	}
}

func slotOf(t time.Time) int64 { return t.Unix() / int64(slot/time.Second) }

// LabelBackground is the label of a target that says whether requests to it that
// are let through are no sign of work ("true"): those of a sync that asks for news
// again and again. It holds against [Options].Background.
const LabelBackground = "background"

// listens reports whether a request only waits for news from a Matrix homeserver.
func listens(r *policies.Record) bool {
	return r.Method == "GET" && strings.HasPrefix(r.Name, "/_matrix/client/") && strings.HasSuffix(r.Name, "/sync")
}

// add counts what a gateway recorded, which the Manager stored at a time. One in
// the background is no sign of work, unless it is refused.
func (c *counter) add(r *policies.Record, at time.Time, background bool) {
	if at.Before(c.from) || r.Type == policies.RecordCut {
		return
	}
	n := c.slot(at)
	n.bytesAll += int64(min(r.RequestBytes+r.ResponseBytes, 1<<40))
	n.meter(r)
	if r.Type == policies.RecordOutcome { // its decision was counted before
		if r.Status >= 500 {
			n.failed++
		}
		return
	}
	kind := kindOf(r)
	if kind == ignored {
		return
	}
	n.requests++
	switch kind {
	case allowed:
		n.allowed++
	case denied:
		n.denied++
	case asked:
		n.asked++
	case failed:
		n.failed++
	}
	if kind == allowed && (background || listens(r)) {
		return
	}
	c.last = at
	c.note(r, at, kind)
}

// meter counts what a model took for a request, once it has ended.
func (n *count) meter(r *policies.Record) {
	switch {
	case r.Tokens != nil:
		n.tokensIn += int64(min(r.Tokens.Input, manager.MaxHourTokens))
		n.tokensOut += int64(min(r.Tokens.Output, manager.MaxHourTokens))
	case r.Kind == policies.KindLLM && r.Verdict == policies.Allow && r.Method == "POST" && r.Status/100 == 2:
		n.unmetered++
	}
}

func (c *counter) slot(at time.Time) *count {
	s := slotOf(at)
	n := &c.counts[s%slots]
	if n.at != s {
		*n = count{at: s}
	}
	return n
}

// note keeps which call it was.
func (c *counter) note(r *policies.Record, at time.Time, kind int) {
	if kind == failed {
		return
	}
	key := keyOf(r)
	if key == "" {
		if kind == allowed && r.Kind != policies.KindMCP {
			c.novel = at // whatever it was, it can't be said to be the same
		}
		return
	}
	k, known := c.calls[key]
	if !known || at.Sub(k.last) > window {
		if kind == allowed {
			c.novel = at
		}
		k = &call{target: r.Target, method: r.Method, name: r.Name}
		c.makeRoom(at)
		c.calls[key] = k
	}
	k.last = at
	s := slotOf(at)
	m := &k.made[s%recent]
	if m.at != s {
		m.at, m.allowed, m.refused = s, 0, 0
	}
	if kind == allowed {
		m.allowed++
	} else {
		m.refused++
	}
}

// makeRoom forgets calls that were not made within the window, and if these are
// too few one more.
func (c *counter) makeRoom(now time.Time) {
	if len(c.calls) < maxCalls {
		return
	}
	oldest := ""
	for key, k := range c.calls {
		if now.Sub(k.last) > window {
			delete(c.calls, key)
		} else if oldest == "" || k.last.Before(c.calls[oldest].last) {
			oldest = key
		}
	}
	if len(c.calls) >= maxCalls {
		delete(c.calls, oldest)
	}
}

// Kinds of a decision.
const (
	ignored = iota // says nothing of the Worker
	allowed
	denied
	asked
	failed
)

func kindOf(r *policies.Record) int {
	switch status := r.Reason.Refusal().Status; {
	case r.Verdict == policies.Allow && r.Status >= 500:
		return failed
	case r.Verdict == policies.Allow:
		return allowed
	case r.Verdict == policies.Ask:
		return asked
	case status == 401: // it is suspended, or its token has ended
		return ignored
	case status >= 500: // Keyward could not say
		return failed
	default:
		return denied
	}
}

// keyOf tells a call from others; empty: it is none, or can't be compared. What
// opens and keeps a session is no call.
func keyOf(r *policies.Record) string {
	what := r.Digest
	switch {
	case r.Kind == policies.KindMCP && r.Method != "tools/call" && r.Method != "prompts/get" && r.Method != "resources/read":
		return ""
	case r.Kind == policies.KindMCP: // a call without arguments has no digest
	case r.RequestBytes > 0 || r.Method == "GET" || r.Verdict != policies.Allow:
		what = strconv.FormatUint(r.RequestBytes, 10)
	default:
		return ""
	}
	return strings.Join([]string{r.Target, r.Method, r.Name, what}, "\x00")
}

// facts are what was counted, at a time. since is when the container was started;
// the zero time: it was not.
func (c *counter) facts(f *manager.WorkerFacts, now, since time.Time) {
	s := slotOf(now)
	for i := range c.counts {
		n := &c.counts[i]
		if n.at > s-slots && n.at <= s {
			f.Hour.Requests += n.allowed
			f.Hour.Bytes += n.bytesAll
			f.Hour.InputTokens += n.tokensIn
			f.Hour.OutputTokens += n.tokensOut
			f.Hour.Unmetered += n.unmetered
		}
		if n.at > s-recent && n.at <= s {
			f.Window.Requests += n.requests
			f.Window.Allowed += n.allowed
			f.Window.Denied += n.denied
			f.Window.Asked += n.asked
			f.Window.Failed += n.failed
		}
	}
	f.Hour.Tokens = f.Hour.InputTokens + f.Hour.OutputTokens
	for _, k := range c.calls {
		var made, refused int64
		for _, m := range k.made {
			if m.at > s-recent && m.at <= s {
				made += m.allowed
				refused += m.refused
			}
		}
		most(&f.Repeated, made, k)
		most(&f.Refused, refused, k)
	}
	began := later(since, c.from)
	f.QuietSeconds = secondsSince(now, later(began, c.last, c.lastOfOthers))
	f.StillSeconds = secondsSince(now, later(began, c.novel))
}

// most keeps the call that was made most; of several the first by name, so that
// the same records always make the same facts.
func most(r *manager.FactsRepeated, n int64, k *call) {
	if n == 0 || n < r.Count || n == r.Count && k.target+k.method+k.name >= r.Target+r.Method+r.Name {
		return
	}
	*r = manager.FactsRepeated{Count: n, Target: k.target, Method: k.method, Name: k.name}
}

func later(times ...time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// secondsSince is 0 for a time that is not known.
func secondsSince(now, t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(0, int64(now.Sub(t)/time.Second))
}
