package live

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"keyward/plugins/changes"
	"keyward/plugins/filter"
	"keyward/plugins/snapshot"
)

const (
	pollWait    = 25 * time.Second // that the Manager may hold an answer back
	pollGrace   = 10 * time.Second // beyond that until a poll has failed
	pollTick    = 100 * time.Millisecond
	syncTime    = 5 * time.Minute // from one page of a change to the next
	firstPause  = 500 * time.Millisecond
	longPause   = 30 * time.Second
	maxPageSize = 16 << 20 // a page may be one entry, and that a policy
)

// A PollHost is what a Poller needs of its VM.
type PollHost interface {
	filter.Host
	filter.Sharer
	filter.Caller
}

// A Poller brings what the Manager says into the shared data. Every VM has one;
// the one with the lease polls. It never begins a poll after a failed one but
// from Tick: hosts report some failures at once, and asking again at once would
// keep a processor busy.
type Poller struct {
	host     PollHost
	config   *Config
	token    string
	audience snapshot.Audience
	space    *space
	lease    lease

	released bool
	waiting  *question // nil: none is open
	next     int64     // no poll before then, Unix nanoseconds
	failures int       // in a row
	sync     *sync     // a change of which not all pages are there; nil: none
}

// A question is a poll whose answer is not there yet.
type question struct {
	changes.Request
	asked int64
}

// A sync is one change on its way into the shared data, until what was written
// is a state that existed.
type sync struct {
	w      *writer
	epoch  string
	cursor string          // of the next page; "": what changed since the pages
	asked  changes.Request // what the pages answer
	latest int64           // page came then, Unix nanoseconds
}

// NewPoller returns a poller that waits for its first Tick.
func NewPoller(host PollHost, config *Config, token string, audience snapshot.Audience) *Poller {
	s := newSpace(host, token, audience)
	return &Poller{host: host, config: config, token: token, audience: audience, space: s, lease: lease{space: s, owner: rand.Uint64()}}
}

// Tick polls if it is time to, and keeps the lease.
func (p *Poller) Tick() {
	now := p.host.Now()
	if p.released || !p.lease.hold(now) {
		return
	}
	// What was to be waited for is meant by the clock, which may be put back.
	p.next = min(p.next, now+int64(longPause))
	if q := p.waiting; q != nil {
		q.asked = min(q.asked, now)
		late := q.asked + int64(time.Duration(q.Wait)*time.Second+2*pollGrace)
		if now < late {
			return
		}
		p.waiting = nil // its context is gone, and the answer with it
		p.fail(now, errors.New("no answer"))
	}
	if now >= p.next {
		p.poll(now)
	}
}

// Release gives the lease back and ends polling.
func (p *Poller) Release() {
	p.released = true
	p.waiting = nil
	p.lease.release()
}

// poll asks the Manager.
func (p *Poller) poll(now int64) {
	q := &question{Request: p.ask(), asked: now}
	wait := time.Duration(q.Wait) * time.Second
	err := p.host.Call(filter.Call{
		Cluster: p.config.Cluster,
		Headers: [][2]string{
			{":method", "GET"},
			{":path", q.Target()},
			{":authority", p.config.Authority},
			{"authorization", "Bearer " + p.token},
			{changes.NonceHeader, q.Nonce},
		},
		Timeout: wait + pollGrace,
	}, maxPageSize, func(a filter.Answer) {
		if p.waiting == q {
			p.waiting = nil
			p.answered(q, a)
		}
	})
	if err != nil {
		p.fail(now, err)
		return
	}
	p.waiting = q
}

// ask says what is to be asked next: for the rest of a change, for the next one,
// or, where nothing sound is in force, for everything.
func (p *Poller) ask() changes.Request {
	r := changes.Request{Nonce: nonce(), Instance: p.space.instance(), Build: buildName(), For: p.audience}
	if s := p.sync; s != nil {
		if s.cursor != "" {
			r = s.asked
			r.Nonce, r.Cursor = nonce(), s.cursor
			return r
		}
		r.Epoch, r.Since = s.epoch, s.w.to.generation
		return r
	}
	if st, _, err := p.space.state(); err == nil && !st.writing {
		r.Epoch, r.Since, r.Wait = st.epoch, st.generation, int(pollWait/time.Second)
	}
	return r
}

// nonce is 128 bits from the runtime's ChaCha8, which is seeded by the host;
// crypto/rand adds 200 KB to a plugin.
func nonce() string {
	b := binary.BigEndian.AppendUint64(nil, rand.Uint64())
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(b, rand.Uint64()))
}

// answered takes an answer, and asks on at once if it was a good one.
func (p *Poller) answered(q *question, a filter.Answer) {
	now := p.host.Now()
	if p.released || !p.lease.hold(now) {
		p.sync = nil
		return
	}
	if err := p.take(q, a, now); err != nil {
		p.sync = nil
		p.fail(now, err)
		return
	}
	p.failures, p.next = 0, 0
	if a.Status == 204 && q.Wait > 1 && now-q.asked < int64(time.Second) {
		p.next = now + int64(firstPause) // who does not wait is not asked without a pause
		return
	}
	p.poll(now)
}

// fail puts the next poll off, ever longer.
func (p *Poller) fail(now int64, err error) {
	pause := min(firstPause<<min(p.failures, 10), longPause)
	p.failures++
	p.next = now + int64(pause)/2 + rand.Int64N(int64(pause)/2)
	p.host.Log(filter.Warn, "live: poll "+strconv.Itoa(p.failures)+" in a row failed: "+err.Error())
}

// take verifies an answer and brings it into the shared data.
func (p *Poller) take(q *question, a filter.Answer, now int64) error {
	answer, signature := read(a)
	switch {
	case a.Status != 200 && a.Status != 204:
		return errors.New("status " + strconv.Itoa(a.Status))
	}
	if err := changes.Verify(p.config.Key, q.Request, answer, signature); err != nil {
		return err
	}
	if a.Status == 204 {
		return p.unchanged(q, now)
	}
	page, err := snapshot.DecodePage(a.Body)
	if err != nil {
		return err
	}
	return p.page(q, page, answer, now)
}

// read sorts an answer's headers. One of a kind counts, so that there is one
// reading alone; the signature tells whether that was the Manager's.
func read(a filter.Answer) (answer changes.Answer, signature string) {
	answer = changes.Answer{Status: a.Status, Body: a.Body}
	for _, h := range a.Headers {
		switch h[0] {
		case changes.SignatureHeader:
			signature = h[1]
		case changes.CursorHeader:
			answer.Cursor = h[1]
		case changes.ConsistentHeader:
			answer.Consistent = h[1] == "true"
		}
	}
	return answer, signature
}
