package channel

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/changes"
	"keyward/plugins/snapshot"
)

// maxSets is how many answers are kept: gateways that wait for the same change
// share one, and the pages of a whole snapshot are asked for one by one. Those of
// one page, which nobody asks for again, go first; else the one that was asked
// for longest ago.
const maxSets = 8

// readTimeout bounds the reading of one answer.
const readTimeout = 30 * time.Second

var errUnread = errors.New("channel: a page of an answer that was not read")

// A set is one answer, read in one transaction, in pages.
type set struct {
	id    string
	epoch string
	since uint64 // what it was asked for
	now   string // epoch that it leads to
	to    uint64 // generation that it leads to, at least

	read   sync.Once // by the first who asks; the others wait for it
	bodies [][]byte
	err    error

	pages int       // once it is read; 0: not yet. Under the lock of the list
	asked time.Time // last, likewise
}

// fill reads the set. Whoever asked first may go: others still wait.
func (s *set) fill(ctx context.Context, from *store.Store) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	w, err := from.Changes(ctx, s.epoch, s.since)
	if err != nil {
		s.err = err
		return
	}
	s.bodies = split(&w)
}

// page returns page i; the last one makes the state whole.
func (s *set) page(i int) changes.Answer {
	a := changes.Answer{Status: http.StatusOK, Body: s.bodies[i]}
	if i+1 < len(s.bodies) {
		a.Cursor = s.id + "." + strconv.Itoa(i+1)
	} else {
		a.Consistent = true
	}
	return a
}

// pages keeps the latest sets.
type pages struct {
	mu   sync.Mutex
	sets []*set // oldest first
}

func newPages() *pages { return &pages{} }

// since returns what changed since a generation of an epoch; nil: nothing.
func (p *pages) since(ctx context.Context, s *store.Store, epoch string, since uint64) (*set, error) {
	st, err := s.Generation(ctx)
	if err != nil || st.Epoch == epoch && st.Generation == since {
		return nil, err
	}
	known := p.find(epoch, since, st)
	known.read.Do(func() {
		known.fill(ctx, s)
		p.filled(known)
	})
	if known.err != nil {
		p.drop(known)
		return nil, known.err
	}
	return known, nil
}

// find returns the set that leads from a generation of an epoch to a state, or a
// new one. Only the list is locked: a whole snapshot that is being read must not
// hold up the delta of a revocation.
func (p *pages) find(epoch string, since uint64, st manager.Status) *set {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.sets {
		if known.epoch == epoch && known.since == since && known.now == st.Epoch && known.to >= st.Generation {
			return known
		}
	}
	made := &set{id: strings.ToLower(rand.Text()), epoch: epoch, since: since, now: st.Epoch, to: st.Generation}
	if len(p.sets) == maxSets {
		victim := slices.MinFunc(p.sets, func(a, b *set) int {
			return cmp.Or(cmp.Compare(min(a.pages, 2), min(b.pages, 2)), a.asked.Compare(b.asked))
		})
		p.sets = slices.DeleteFunc(slices.Clone(p.sets), func(s *set) bool { return s == victim })
	}
	made.asked = time.Now()
	p.sets = append(p.sets, made)
	return made
}

// filled notes how large a set is.
func (p *pages) filled(s *set) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.pages = len(s.bodies)
}

func (p *pages) drop(s *set) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sets = slices.DeleteFunc(p.sets, func(known *set) bool { return known == s })
}

// at returns the page of a cursor.
func (p *pages) at(cursor string) (changes.Answer, bool) {
	id, number, _ := strings.Cut(cursor, ".")
	i, err := strconv.Atoi(number)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sets {
		if s.id != id {
			continue
		}
		s.read.Do(func() { s.err = errUnread }) // a cursor came from a page, so it was read
		s.asked = time.Now()
		if err == nil && i > 0 && i < len(s.bodies) {
			return s.page(i), true
		}
	}
	return changes.Answer{}, false
}

// split encodes w as pages of about [changes.MaxPage]. All have w's epoch and
// generations.
func split(w *snapshot.Snapshot) [][]byte {
	head := snapshot.Snapshot{Format: w.Format, Epoch: w.Epoch, Generation: w.Generation, Since: w.Since}
	page := head
	page.Policy, page.Removed = w.Policy, w.Removed
	var bodies [][]byte
	size := 0
	add := func(n int, put func()) {
		if size > 0 && size+n > changes.MaxPage {
			bodies = append(bodies, snapshot.Encode(&page))
			page, size = head, 0
		}
		put()
		size += n
	}
	for i := range w.Credentials {
		add(len(snapshot.EncodeCredential(&w.Credentials[i])), func() { page.Credentials = append(page.Credentials, w.Credentials[i]) })
	}
	for i := range w.Targets {
		add(len(snapshot.EncodeTarget(&w.Targets[i])), func() { page.Targets = append(page.Targets, w.Targets[i]) })
	}
	for i := range w.Consumers {
		add(len(snapshot.EncodeConsumer(&w.Consumers[i])), func() { page.Consumers = append(page.Consumers, w.Consumers[i]) })
	}
	return append(bodies, snapshot.Encode(&page))
}
