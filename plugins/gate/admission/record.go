package admission

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
	"unicode/utf8"

	"keyward/plugins/filter"
	"keyward/plugins/record"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// noteAfter is how long a stream may be open before its decision is recorded
// without its end: an event stream may live for days.
const noteAfter = int64(time.Second)

// syncTime is how long a request waits for its record to be stored.
const syncTime = int64(10 * time.Second)

// An accounts has the records of one VM. Without an outbox nobody takes any.
type accounts struct {
	outbox  *record.Outbox
	look    int64     // when to note open streams next, Unix nanoseconds
	waiting []*stream // held until their record is stored
	ended   []*stream // done, and their records are not written yet; oldest first
	scratch []byte
}

// maxEnded bounds how many streams are kept until the next tick.
const maxEnded = 64

// An account is what one stream's records need beside its decision.
type account struct {
	decision policies.Decision // ID empty: nothing was decided
	status   int
	in, out  uint64 // bytes of bodies
	reserved bool   // there is room for a record of the decision
	noted    bool   // the decision was recorded
	number   uint64 // sequence number of its record
}

func auditOf(t *snapshot.Target) snapshot.Audit {
	if t == nil || t.Audit == nil {
		return snapshot.Audit{}
	}
	return *t.Audit
}

// recordable reserves room for a request's record. Without room the target says
// whether the request may go on.
func (x *stream) recordable() bool {
	o := x.gate.accounts.outbox
	if o == nil || x.account.reserved {
		return true
	}
	x.account.reserved = o.Reserve()
	return x.account.reserved || auditOf(x.target).Lossy
}

// settle keeps what was decided, for the record.
func (x *stream) settle(d policies.Decision, status int) {
	if d.Generation == 0 && x.state != nil {
		d.Generation = x.state.view.Generation()
	}
	x.account.decision, x.account.status, x.account.noted = d, status, false
}

// note records the decision now, ahead of the stream's end.
func (x *stream) note() {
	a := &x.account
	if x.gate.accounts.outbox == nil || a.noted || a.decision.ID == "" {
		return
	}
	a.noted = true
	x.gate.finishEnded()
	r := x.record(policies.RecordDecision)
	r.Status = a.status // of a refusal; an answer has none yet
	a.number = x.gate.accounts.outbox.Add(&r, a.reserved, x.gate.host.Now())
	a.reserved = false
}

// finishLater has the record of a stream that is done written at the next tick: a
// host sends the answer's last bytes only after this callback, and writing a record
// takes as long as a decision. What takes much memory does not wait.
func (x *stream) finishLater() {
	a := &x.gate.accounts
	if a.outbox == nil {
		x.finish()
		return
	}
	x.ended = x.gate.host.Now()
	a.ended = append(a.ended, x)
	if len(a.ended) >= maxEnded || x.account.in > maxReaderBody {
		x.gate.finishEnded()
	}
}

// finishEnded writes the records of streams that are done. Records are in the order
// of their numbers, so whoever adds another one calls it first.
func (g *Gate) finishEnded() {
	list := g.accounts.ended
	g.accounts.ended = list[:0]
	for i, x := range list {
		list[i] = nil
		x.finish()
	}
}

// finish is the end of a stream. A panic costs its record, and no other's.
func (x *stream) finish() {
	defer func() { _ = recover() }()
	x.closeAccount()
	x.forget()
	if !x.waited { // else it is in a list until the next tick
		x.gate.recycle(x)
	}
}

// closeAccount records how the stream ended.
func (x *stream) closeAccount() {
	o, a := x.gate.accounts.outbox, &x.account
	if o == nil {
		return
	}
	if a.decision.ID == "" || a.noted && a.decision.Verdict != policies.Allow { // the record of a refusal says how it ended
		if a.reserved {
			o.Free()
			a.reserved = false
		}
		return
	}
	kind := policies.RecordDecision
	if a.noted {
		kind = policies.RecordOutcome
	}
	r := x.record(kind)
	r.Status, r.RequestBytes, r.ResponseBytes, r.Duration = a.status, a.in, a.out, time.Duration(max(0, x.ended-x.now))
	x.noteUsage(&r)
	o.Add(&r, a.reserved, x.ended)
	a.reserved = false
}

// noteCut records that an answer was stopped, after the decision that let it go
// on.
func (x *stream) noteCut(d policies.Decision) {
	o := x.gate.accounts.outbox
	if o == nil {
		return
	}
	x.gate.finishEnded()
	x.note()
	now := x.gate.host.Now()
	r := x.record(policies.RecordCut)
	r.ID, r.Of, r.Time = d.ID, x.account.decision.ID, time.Unix(0, now).UTC()
	r.Verdict, r.Reason, r.Details, r.Rules = policies.Deny, d.Reason, d.Details, d.Rules
	o.Add(&r, false, now)
}

// record is what is known of the request at its decision. The text of a client
// that it holds is cut to its bound, and free of what looks like a secret.
func (x *stream) record(kind policies.RecordType) policies.Record {
	d := &x.account.decision
	r := policies.Record{
		Type: kind, ID: d.ID, Time: time.Unix(0, x.now).UTC(),
		Verdict: d.Verdict, Reason: d.Reason, Policy: d.Policy, Generation: d.Generation,
	}
	if x.target != nil {
		r.Kind, r.Target = x.target.Kind, x.target.ID
	}
	if x.consumer != nil {
		r.Consumer = x.consumer.ID
	}
	r.Method, r.Name = x.msg.Method, x.msg.Name
	if r.Method == "" {
		r.Method, r.Name = x.req.method, x.req.path
	}
	r.Host, r.Method, r.Name = harmless(x.req.host), harmless(r.Method), harmless(r.Name)
	r.Details, r.Rules = harmlessList(d.Details), harmlessList(d.Rules)
	if kind == policies.RecordDecision && !x.msg.Arguments.IsUndefined() {
		x.arguments(&r)
	}
	return r
}

// arguments adds the digest of a call's arguments, and what of them is kept.
func (x *stream) arguments(r *policies.Record) {
	s := &x.gate.accounts.scratch
	*s = x.msg.Arguments.AppendJSON((*s)[:0])
	sum := sha256.Sum256(*s)
	r.Digest = hex.EncodeToString(sum[:])
	if auditOf(x.target).Arguments {
		x.keepArguments(r)
	}
}

// harmless is s without what looks like a secret, cut to the bound of a record's
// text.
func harmless(s string) string {
	s, _ = redact(s)
	if len(s) > policies.MaxRecordText {
		n := policies.MaxRecordText
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return s
}

func harmlessList(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, 0, min(len(list), policies.MaxRecordList))
	for _, s := range list[:min(len(list), policies.MaxRecordList)] {
		out = append(out, harmless(s))
	}
	return out
}

// account looks after what has to be recorded, and sends it.
func (g *Gate) account(now int64) {
	a := &g.accounts
	if a.outbox == nil {
		return
	}
	g.finishEnded()
	if now >= a.look {
		a.look = now + noteAfter
		for x := g.open.first; x != nil; x = x.next {
			if now-x.now >= noteAfter {
				x.note()
			}
		}
	}
	a.waiting = slices.DeleteFunc(a.waiting, func(x *stream) bool {
		if x.settled == pending && now-x.now >= syncTime {
			x.ending = policies.AuditFull
			x.cut()
		}
		return x.settled != pending // it was cut, or the client has gone
	})
	a.outbox.Tick(now, len(a.waiting) > 0)
}

// holds reports whether a request has to wait until its record is stored. Those
// of nobody known don't: there may be very many.
func (x *stream) holds() bool {
	return auditOf(x.target).Sync && x.consumer != nil && x.gate.accounts.outbox != nil && x.settled != pending &&
		x.recordable() && x.account.reserved
}

// wait holds a request until its record is stored.
func (x *stream) wait() filter.Action {
	x.note()
	x.settled, x.waited = pending, true
	x.gate.accounts.waiting = append(x.gate.accounts.waiting, x)
	return filter.Hold
}

// stored lets those go on whose records are stored, or answers them. They leave
// the list at the next look.
func (g *Gate) stored(first, last uint64) {
	for _, x := range g.accounts.waiting {
		if n := x.account.number; first <= n && n <= last && x.settled == pending {
			x.proceed()
		}
	}
}

func (x *stream) proceed() {
	if x.refusal.Status != 0 {
		x.settled = refused
		x.end()
		return
	}
	x.settled = admitted
	r, ok := x.s.(filter.Resumer)
	if ok && r.Resume(filter.Request) == nil {
		return
	}
	x.ending = policies.Internal
	x.cut()
}
