package message

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// maxBytes bounds the content of a message as it is sent. Matrix takes events
// up to 65,536 bytes with everything that homeservers add (Client-Server API,
// "Size limits"); a third of that stays free.
const maxBytes = 40 << 10

// maxLines bounds the lines of a message: more is not read but scrolled past.
const maxLines = 100

// A Content is the content of an m.room.message event. It mentions nobody.
type Content struct {
	MsgType       string      `json:"msgtype"`
	Body          string      `json:"body"`
	Format        string      `json:"format"`
	FormattedBody string      `json:"formatted_body"`
	Mentions      struct{}    `json:"m.mentions"`
	Records       *Records    `json:"org.keyward.records,omitempty"` // nil: it shows no entries
	Checkpoint    *Checkpoint `json:"org.keyward.checkpoint,omitempty"`
	Relates       *Relates    `json:"m.relates_to,omitempty"`
}

// Relates says what a message answers.
type Relates struct {
	InReplyTo struct {
		Event string `json:"event_id"`
	} `json:"m.in_reply_to"`
}

// Records is a message's field for machines. Every entry from First to Last
// that belongs into the room is either among Entries or counted in Digests.
type Records struct {
	Log     string    `json:"log,omitempty"` // which audit log; a restored store begins another
	First   uint64    `json:"first"`         // index in the audit log
	Last    uint64    `json:"last"`
	Entries []Record  `json:"entries,omitempty"`
	Digests []*Digest `json:"digests,omitempty"`
}

// A Record is one entry for machines, its text as [Text] writes it.
// Matrix knows whole numbers only.
type Record struct {
	Index    uint64 `json:"index"`
	ID       string `json:"id,omitempty"`
	Time     string `json:"time"` // RFC 3339, UTC
	Kind     Kind   `json:"kind"`
	Consumer string `json:"consumer,omitempty"`
	Target   string `json:"target,omitempty"`
	Method   string `json:"method,omitempty"`
	Name     string `json:"name,omitempty"`
	Verdict  string `json:"verdict,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Status   int    `json:"status,omitempty"`
	Millis   int64  `json:"duration_ms,omitempty"`
	Bytes    uint64 `json:"response_bytes,omitempty"`
	Tokens   uint64 `json:"tokens,omitempty"`
	Actor    string `json:"actor,omitempty"`
	Did      string `json:"action,omitempty"`
	Object   string `json:"object,omitempty"`
	Lost     uint64 `json:"lost,omitempty"`
}

// Pack renders as many of entries, in their order, as one message holds, and
// returns how many that are: at least one, unless there are none.
func Pack(entries []Entry, opt Options) (Content, int) {
	p := packer{opt: opt, alike: map[likeness]int{}}
	p.records.Log = opt.Log
	n := 0
	for n < len(entries) && p.add(entries[n]) {
		n++
	}
	if n == 0 {
		return Content{}, 0
	}
	p.records.First, p.records.Last = entries[0].Index, entries[n-1].Index
	return p.content(), n
}

// A packer fills one message.
type packer struct {
	opt     Options
	size    int // bytes so far, as sent
	lines   []*line
	alike   map[likeness]int // index in digests
	counted []Entry          // one of each digest
	records Records
}

// add takes e, or reports that it has to wait for the next message.
func (p *packer) add(e Entry) bool {
	if !p.opt.Digests(e.Kind) {
		l, r := lineOf(e), recordOf(e)
		if !p.fits(l, r) {
			return false
		}
		p.lines = append(p.lines, l)
		p.records.Entries = append(p.records.Entries, r)
		return true
	}
	i, known := p.alike[like(e)]
	if !known {
		d := digestOf(e)
		if !p.fits(lineOfDigest(e, d), d) {
			return false
		}
		i = len(p.counted)
		p.alike[like(e)] = i
		p.counted = append(p.counted, e)
		p.records.Digests = append(p.records.Digests, d)
	}
	d := p.records.Digests[i]
	d.Count++
	d.Tokens += e.Tokens
	d.Last = e.Index
	return true
}

// fits reserves room for a line and its record. The first always fits: the
// bounds of a line see to that.
func (p *packer) fits(l *line, record any) bool {
	const frame = 192 // tags, separators, digits of growing counts, tokens that come later
	size := encoded(l.plain.String()) + encoded(l.html.String()) + encoded(record) + frame
	n := len(p.lines) + len(p.counted)
	if n > 0 && (n == maxLines || p.size+size > maxBytes) {
		return false
	}
	p.size += size
	return true
}

// encoded returns how many bytes v takes in the canonical JSON in which
// homeservers measure an event: markup is not escaped there.
func encoded(v any) int {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("message: " + err.Error()) // strings and records of strings and whole numbers always marshal
	}
	return b.Len()
}

func (p *packer) content() Content {
	lines := p.lines
	for i, e := range p.counted {
		lines = append(lines, lineOfDigest(e, p.records.Digests[i]))
	}
	c := contentOf(lines)
	c.Records = &p.records
	return c
}

// contentOf puts lines below each other.
func contentOf(lines []*line) Content {
	var plain, html strings.Builder
	for i, l := range lines {
		if i > 0 {
			plain.WriteString("\n")
			html.WriteString("<br>")
		}
		plain.WriteString(l.plain.String())
		html.WriteString(l.html.String())
	}
	return Content{
		MsgType: "m.notice", Format: "org.matrix.custom.html",
		Body: plain.String(), FormattedBody: html.String(),
	}
}

func recordOf(e Entry) Record {
	r := Record{
		Index: e.Index, Time: e.Time.UTC().Format(time.RFC3339Nano), Kind: Kind(Text(string(e.Kind), maxName)), ID: Text(e.ID, maxName),
		Consumer: Text(e.Consumer, maxName), Target: Text(e.Target, maxName),
		Method: Text(e.Method, maxName), Name: Text(e.Name, maxName),
		Reason: Text(string(e.Reason), maxName), Status: e.Status, Millis: e.Duration.Milliseconds(), Bytes: e.Bytes, Tokens: e.Tokens,
		Actor: Text(e.Actor, maxName), Did: Text(e.Did, maxName), Object: Text(e.Object, maxName), Lost: e.Lost,
	}
	if e.Kind != Action && e.Kind != Gap && e.Kind != Outcome && e.Kind != Answer {
		r.Verdict = e.Verdict.String()
	}
	return r
}
