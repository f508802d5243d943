package channel

import (
	"cmp"
	"context"
	"crypto/rand"
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
const maxSets = 16

// pages keeps the latest sets.
type pages struct {
	sessionKey []byte // that they give to gateways

	mu   sync.Mutex
	sets []*set // oldest first
}

func newPages(sessionKey []byte) *pages { return &pages{sessionKey: sessionKey} }

// since returns what changed since what a question names, for its audience; nil:
// nothing.
func (p *pages) since(ctx context.Context, s *store.Store, q changes.Request, stop <-chan struct{}) (*set, error) {
	epoch, since := q.Epoch, q.Since
	st, err := s.Generation(ctx)
	if err != nil || st.Epoch == epoch && st.Generation == since {
		return nil, err
	}
	if st.Epoch != epoch || since > st.Generation {
		epoch, since = "", 0
	}
	known := p.find(epoch, since, q.For, st)
	known.begin.Do(func() { go known.read(s, stop) })
	if _, _, err := known.page(ctx, 0); err != nil {
		if ctx.Err() == nil {
			p.drop(known)
		}
		return nil, err
	}
	return known, nil
}

// find returns the set that leads from a generation of an epoch to a state, or a
// new one. A whole that is still being read serves too: what changed since it
// follows. Only the list is locked: a whole that is being read must not hold up
// the delta of a revocation.
func (p *pages) find(epoch string, since uint64, audience snapshot.Audience, st manager.Status) *set {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.sets {
		if known.epoch != epoch || known.since != since || known.audience != audience || known.now != st.Epoch {
			continue
		}
		if _, done := known.leads(); known.to >= st.Generation || since == 0 && !done {
			known.asked = time.Now()
			return known
		}
	}
	made := &set{
		id: strings.ToLower(rand.Text()), epoch: epoch, since: since, audience: audience, now: st.Epoch, to: st.Generation,
		asked: time.Now(), grew: make(chan struct{}),
	}
	if audience != snapshot.ForKeySwap {
		made.sessionKey = p.sessionKey
	}
	if len(p.sets) == maxSets {
		victim := slices.MinFunc(p.sets, func(a, b *set) int {
			return cmp.Or(cmp.Compare(a.worth(), b.worth()), a.asked.Compare(b.asked))
		})
		p.sets = slices.DeleteFunc(slices.Clone(p.sets), func(s *set) bool { return s == victim })
	}
	p.sets = append(p.sets, made)
	return made
}

// worth is 1 for a set that is asked for page by page, else 0.
func (s *set) worth() int {
	if n, done := s.leads(); n > 1 || !done && s.since == 0 {
		return 1
	}
	return 0
}

func (p *pages) drop(s *set) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sets = slices.DeleteFunc(p.sets, func(known *set) bool { return known == s })
}

// at returns the set of a cursor and the number of the page; nil: it is no longer
// kept.
func (p *pages) at(cursor string) (*set, int) {
	id, number, _ := strings.Cut(cursor, ".")
	i, err := strconv.Atoi(number)
	if err != nil || i < 1 {
		return nil, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sets {
		if s.id == id {
			s.asked = time.Now()
			return s, i
		}
	}
	return nil, 0
}
