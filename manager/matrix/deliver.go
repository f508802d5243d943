package matrix

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"keyward/manager"
	"keyward/manager/matrix/message"
)

// Bounds of delivery.
const (
	maxAtOnce  = 4    // messages on their way
	maxEach    = 200  // entries looked at for one message; it holds half of them
	maxCounted = 5000 // entries that one message of digests counts
	minPause   = 500 * time.Millisecond
	maxPause   = time.Minute      // between tries
	lookEvery  = 2 * time.Second  // for digests that are due, and what was not told
	sendWithin = 30 * time.Second // one message
	pageSize   = 100              // messages of a room that are read at once
	maxBack    = 200              // pages of a room's past that are searched
	maxSkew    = time.Hour        // between the homeserver's clock and ours
	settleFor  = 30 * time.Second // until a homeserver shows what it has taken
)

// errMissing reports a room that waits for entries that the log does not have.
var errMissing = errors.New("the log lacks what the room waits for")

// fence is an event that clients don't show. A homeserver may show what it has
// taken only later, as Dendrite does after its start, but in order: once it shows
// a fence, it shows all that it took before.
var fence = event.Type{Type: "org.keyward.fence", Class: event.MessageEventType}

// A postman sends what waits in the outbox.
type postman struct {
	s   *Service
	log string // identity of the audit log

	mu     sync.Mutex
	sure   map[manager.Queue]bool // what is being sent was surely not sent yet
	pauses map[manager.Queue]pause
	all    pause // the homeserver is down, or wants to be left alone
}

// A pause is a wait that doubles.
type pause struct {
	until time.Time
	d     time.Duration
}

func (p *pause) more(now time.Time, atLeast time.Duration) {
	p.d = max(min(max(2*p.d, minPause), maxPause), atLeast)
	p.until = now.Add(p.d)
	if atLeast > 0 {
		p.d = 0 // the homeserver said how long
	}
}

func newPostman(s *Service, log string) *postman {
	return &postman{s: s, log: log, sure: map[manager.Queue]bool{}, pauses: map[manager.Queue]pause{}}
}

// run sends until ctx is done.
func (p *postman) run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		woken := p.s.wake.next()
		wait, err := p.round(ctx)
		if err != nil {
			return err
		}
		if wait == 0 {
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-woken:
		case <-tick.C:
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

// round sends one message of each queue that may send. It returns how long to
// wait; 0: there may be more to send now.
func (p *postman) round(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	if wait := p.all.until.Sub(now); wait > 0 {
		select { // news does not shorten it
		case <-ctx.Done():
		case <-time.After(wait):
		}
		return 0, nil
	}
	due, err := p.s.store.DueQueues(ctx, now)
	if err != nil {
		return 0, err
	}
	var (
		sem  = make(chan struct{}, maxAtOnce)
		wg   sync.WaitGroup
		sent bool
	)
	for _, q := range due {
		p.mu.Lock()
		hold := now.Before(p.pauses[q].until) || time.Now().Before(p.all.until)
		p.mu.Unlock()
		if hold {
			continue
		}
		sem <- struct{}{}
		wg.Go(func() {
			defer func() { <-sem }()
			err := p.deliver(ctx, q)
			p.mu.Lock()
			defer p.mu.Unlock()
			p.noteLocked(q, err)
			sent = sent || err == nil
		})
	}
	wg.Wait()
	switch {
	case sent:
		return 0, nil
	case len(due) == 0:
		return lookEvery, nil
	default:
		return minPause, nil
	}
}

// noteLocked draws the conclusions of one delivery.
func (p *postman) noteLocked(q manager.Queue, err error) {
	if err == nil {
		delete(p.pauses, q)
		p.s.answered()
		if time.Now().After(p.all.until) {
			p.all = pause{}
		}
		return
	}
	if errors.Is(err, context.Canceled) {
		return
	}
	p.s.failed(err)
	now := time.Now()
	switch wait := asked(err); {
	case wait > 0:
		p.s.metrics.limited.Inc()
		p.all.more(now, wait)
		return
	case down(err):
		p.all.more(now, 0)
	}
	one := p.pauses[q]
	one.more(now, 0)
	p.pauses[q] = one
	p.s.log.Warn("message not sent yet", slog.String("room", q.Room), slog.Any("error", brief(err)), slog.Duration("again_in", one.d))
}

// deliver sends the next message of a queue.
func (p *postman) deliver(ctx context.Context, q manager.Queue) error {
	limit := maxEach
	if q.Lane == manager.LaneDigest {
		limit = maxCounted
	}
	waiting, sending, err := p.s.store.Queued(ctx, q, limit)
	if err == nil && len(waiting) == 0 {
		err = errMissing
	}
	if err != nil {
		return err
	}
	var entries []message.Entry
	for _, w := range waiting {
		if e, ok := p.s.shown(w); ok {
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return p.s.store.Sent(ctx, q, waiting[len(waiting)-1].Position)
	}
	content, n := message.Pack(entries, options(q.Lane, p.log))
	r := manager.Range{First: entries[0].Index, Last: entries[n-1].Index}
	place, err := p.s.place(ctx, q.Room)
	if errors.Is(err, manager.ErrNotFound) && strings.HasPrefix(q.Room, string(manager.RoomShared)+":") {
		return p.s.store.Sent(ctx, q, waiting[len(waiting)-1].Position) // it was deleted meanwhile
	}
	if err != nil {
		return err
	}
	switch {
	case sending == nil:
		if err := p.s.store.Sending(ctx, q, r); err != nil {
			return err
		}
		p.setSure(q, true)
	case !p.isSure(q):
		last, ok, err := p.newest(ctx, place, q, sending.Since)
		if err != nil {
			return p.lost(q, err)
		}
		if ok && last >= r.First {
			return p.s.store.Sent(ctx, q, last)
		}
		p.setSure(q, true)
	}
	return p.send(ctx, q, place, r, content, n)
}

func (p *postman) send(ctx context.Context, q manager.Queue, place id.RoomID, r manager.Range, content message.Content, n int) error {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	_, err := p.s.api().SendMessageEvent(ctx, place, event.EventMessage, content, mautrix.ReqSendEvent{TransactionID: p.transaction(q, r.First)})
	if err != nil {
		p.setSure(q, refused(err))
		return p.lost(q, err)
	}
	p.s.metrics.sent.Inc()
	p.s.metrics.shown.Add(float64(n))
	return p.s.store.Sent(context.WithoutCancel(ctx), q, r.Last)
}

// lost has the keeper look at a room that does not take a message.
func (p *postman) lost(q manager.Queue, err error) error {
	if gone(err) {
		p.s.displace(q.Room)
	}
	return err
}

func (p *postman) isSure(q manager.Queue) bool { p.mu.Lock(); defer p.mu.Unlock(); return p.sure[q] }

func (p *postman) setSure(q manager.Queue, sure bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sure[q] = sure
}

// transaction is the ID of the message that begins with an entry.
func (p *postman) transaction(q manager.Queue, first uint64) string {
	sum := sha256.Sum256([]byte(p.log + "\x00" + q.Room + "\x00" + string(q.Lane) + "\x00" + strconv.FormatUint(first, 10)))
	return "kw" + hex.EncodeToString(sum[:16])
}

// newest is the last entry that a room shows in a lane by a message sent after an
// instant; false: there is none.
func (p *postman) newest(ctx context.Context, place id.RoomID, q manager.Queue, since time.Time) (uint64, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	f, err := p.s.api().SendMessageEvent(ctx, place, fence, struct{}{})
	if err != nil {
		return 0, false, err
	}
	page, err := p.behind(ctx, place, f.EventID)
	before := since.Add(-maxSkew).UnixMilli()
	for n := 0; err == nil; n++ {
		for _, e := range page.Chunk {
			var c struct {
				Records *message.Records `json:"org.keyward.records"`
			}
			if e.Sender != p.s.session.User || json.Unmarshal(e.Content.VeryRaw, &c) != nil || c.Records == nil {
				continue
			}
			if e.Timestamp < before {
				return 0, false, nil
			}
			if c.Records.Log == p.log && laneOf(c.Records) == q.Lane {
				return c.Records.Last, true, nil
			}
		}
		if page.End == "" || len(page.Chunk) == 0 {
			return 0, false, nil
		}
		if n == maxBack {
			return 0, false, fmt.Errorf("matrix: the last %d messages of a room say nothing of what it shows", maxBack*pageSize)
		}
		page, err = p.past(ctx, place, page.End)
	}
	return 0, false, err
}

// behind returns the newest messages of a room once it shows the fence before
// which they were taken.
func (p *postman) behind(ctx context.Context, place id.RoomID, f id.EventID) (*mautrix.RespMessages, error) {
	for {
		page, err := p.past(ctx, place, "")
		if err != nil || slices.ContainsFunc(page.Chunk, func(e *event.Event) bool { return e.ID == f }) {
			return page, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(minPause):
		}
	}
}

// past returns messages of ours in a room, the newest first.
func (p *postman) past(ctx context.Context, place id.RoomID, from string) (*mautrix.RespMessages, error) {
	filter := &mautrix.FilterPart{Senders: []id.UserID{p.s.session.User}, Types: []event.Type{event.EventMessage, fence}}
	return p.s.api().Messages(ctx, place, from, "", mautrix.DirectionBackward, filter, pageSize)
}

func laneOf(r *message.Records) manager.Lane {
	if len(r.Digests) > 0 {
		return manager.LaneDigest
	}
	return manager.LaneEach
}
