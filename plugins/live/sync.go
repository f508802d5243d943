package live

import (
	"errors"
	"math/rand/v2"
	"strings"

	"keyward/plugins/changes"
	"keyward/plugins/snapshot"
)

var (
	errQuestion = errors.New("the answer does not fit the question")
	errOlder    = errors.New("the Manager's generation is lower than the one in force")
	errSlow     = errors.New("a page of a change took too long")
)

// unchanged takes the answer that nothing changed since the question's
// generation: what is in force, or what the pages so far have led to.
func (p *Poller) unchanged(q *question, now int64) error {
	if q.Epoch == "" || q.Cursor != "" {
		return errQuestion
	}
	if p.sync != nil {
		return p.commit(now)
	}
	st, cas, err := p.space.state()
	if err != nil {
		return err
	}
	if st.writing || st.epoch != q.Epoch || st.generation != q.Since {
		return errInterrupted
	}
	w := &writer{space: p.space, from: st, cas: cas, now: now}
	st.contact = now
	return w.setState(st)
}

// page takes one page of a change.
func (p *Poller) page(q *question, page *snapshot.Page, a changes.Answer, now int64) error {
	if page.Since != 0 && (page.Epoch != q.Epoch || page.Since != q.Since) {
		return errQuestion
	}
	if q.Cursor == "" {
		if err := p.first(q, page, now); err != nil {
			return err
		}
	}
	s := p.sync
	switch {
	case s == nil || s.epoch != page.Epoch || s.w.to.generation != page.Generation:
		return errQuestion
	case now-s.latest > int64(syncTime):
		return errSlow
	}
	s.w.now, s.latest = now, now
	if err := s.w.add(page); err != nil {
		return err
	}
	s.cursor = a.Cursor
	if a.Cursor == "" && a.Consistent {
		return p.commit(now)
	}
	return nil
}

// first begins with the first page of a change, or of what changed while the
// pages before were read.
func (p *Poller) first(q *question, page *snapshot.Page, now int64) (err error) {
	switch {
	case page.Since != 0 && p.sync != nil:
		if page.Generation <= p.sync.w.to.generation {
			return errOlder
		}
		p.sync.w.to.generation = page.Generation
	case page.Since != 0:
		p.sync, err = p.begin(page, false, now)
	default:
		st, _, stateErr := p.space.state()
		if stateErr == nil && st.epoch == page.Epoch && page.Generation < st.generation {
			return errOlder
		}
		p.sync, err = p.begin(page, true, now)
	}
	if err == nil {
		p.sync.asked = q.Request
	}
	return err
}

func (p *Poller) begin(page *snapshot.Page, whole bool, now int64) (*sync, error) {
	w, err := newWriter(p.space, whole, rand.Uint64(), page.Generation, now)
	if err != nil {
		return nil, err
	}
	return &sync{w: w, epoch: strings.Clone(page.Epoch), latest: now}, nil
}

func (p *Poller) commit(now int64) error {
	p.sync.w.now = now
	err := p.sync.w.commit(p.sync.epoch)
	p.sync = nil
	return err
}
