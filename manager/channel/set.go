package channel

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"keyward/manager/store"
	"keyward/plugins/changes"
	"keyward/plugins/snapshot"
)

const (
	// readTimeout bounds the reading of one answer: a whole snapshot of millions of
	// grants on a busy machine.
	readTimeout = 5 * time.Minute
	// minGzip is the size from which compression pays, in bytes.
	minGzip = 1 << 10
)

var (
	errUnread   = errors.New("channel: a page of an answer that has no such page")
	errStopping = errors.New("channel: the Manager is stopping")
)

// A set is one answer, read in one transaction, in pages. Who asks for a page
// waits until it is there, not until all are. It may be used by several
// goroutines at once.
type set struct {
	id       string
	epoch    string // what it was asked for; a whole: empty, and since zero
	since    uint64
	audience snapshot.Audience
	now      string // epoch that it leads to
	to       uint64 // generation that it leads to, at least

	sessionKey []byte // that it gives to the audience; nil: none

	begin sync.Once // the first who asks has it read
	asked time.Time // last; under the lock of the list

	mu         sync.Mutex
	generation uint64 // that it leads to, once there is a page
	pages      []page
	done       bool
	err        error         // why it ended before its end
	grew       chan struct{} // closed when one of these changes
}

// A page is kept as small as it can be.
type page struct {
	kept []byte // gzip, if that is the smaller
	size int    // as it was before
}

// read reads the set, whoever asked for it first and is gone since.
func (s *set) read(from *store.Store, stop <-chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	b := binder{put: s.put, sessionKey: s.sessionKey}
	err := from.Changes(ctx, s.epoch, s.since, s.audience, func(part *snapshot.Snapshot) error {
		select {
		case <-stop:
			return errStopping
		default:
			return b.add(part)
		}
	})
	if err == nil {
		err = b.flush()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.err, s.generation = true, err, b.page.Generation
	close(s.grew)
}

func (s *set) put(p page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages = append(s.pages, p)
	close(s.grew)
	s.grew = make(chan struct{})
}

// page returns page i, and whether it is the last. It waits until both are known.
func (s *set) page(ctx context.Context, i int) (p page, last bool, err error) {
	for {
		s.mu.Lock()
		n, done, err, grew := len(s.pages), s.done, s.err, s.grew
		if n > i {
			p = s.pages[i]
		}
		s.mu.Unlock()
		switch {
		case err != nil:
			return page{}, false, err
		case i+1 < n || done && i+1 == n:
			return p, i+1 == n, nil
		case done:
			return page{}, false, errUnread
		}
		select {
		case <-grew:
		case <-ctx.Done():
			return page{}, false, ctx.Err()
		}
	}
}

// leads returns how many pages there are yet, and whether more will come.
func (s *set) leads() (pages int, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pages), s.done
}

// at is the generation that a finished set leads to.
func (s *set) at() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

// A binder makes pages of about [changes.MaxPage] out of parts. All have the
// parts' epoch and generations.
type binder struct {
	put        func(page)
	sessionKey []byte // for the first page
	page       snapshot.Snapshot
	size       int
}

func (b *binder) add(part *snapshot.Snapshot) error {
	if b.page.Generation == 0 {
		b.page = *part // the first, with no entries
		b.page.SessionKey = b.sessionKey
		if part.Policy != nil {
			b.size = len(part.Policy.Program)
		}
	}
	for i := range part.Credentials {
		if err := b.room(len(snapshot.EncodeCredential(&part.Credentials[i]))); err != nil {
			return err
		}
		b.page.Credentials = append(b.page.Credentials, part.Credentials[i])
	}
	for i := range part.Targets {
		if err := b.room(len(snapshot.EncodeTarget(&part.Targets[i]))); err != nil {
			return err
		}
		b.page.Targets = append(b.page.Targets, part.Targets[i])
	}
	for i := range part.Consumers {
		if err := b.room(len(snapshot.EncodeConsumer(&part.Consumers[i]))); err != nil {
			return err
		}
		b.page.Consumers = append(b.page.Consumers, part.Consumers[i])
	}
	return nil
}

// room makes room for an entry of n bytes.
func (b *binder) room(n int) error {
	if b.size > 0 && b.size+n > changes.MaxPage {
		if err := b.flush(); err != nil {
			return err
		}
	}
	b.size += n
	return nil
}

func (b *binder) flush() error {
	p, err := newPage(snapshot.Encode(&b.page))
	if err != nil {
		return err
	}
	b.put(p)
	b.page = snapshot.Snapshot{Format: b.page.Format, Epoch: b.page.Epoch, Generation: b.page.Generation, Since: b.page.Since}
	b.size = 0
	return nil
}

func newPage(body []byte) (page, error) {
	p := page{kept: body, size: len(body)}
	if p.size < minGzip {
		return p, nil
	}
	var small bytes.Buffer
	z, err := gzip.NewWriterLevel(&small, gzip.BestSpeed)
	if err != nil {
		return p, err
	}
	if _, err := z.Write(body); err != nil {
		return p, err
	}
	if err := z.Close(); err != nil {
		return p, err
	}
	if small.Len() < p.size {
		p.kept = bytes.Clone(small.Bytes())
	}
	return p, nil
}

// compressed reports whether the page is kept as gzip.
func (p page) compressed() bool { return len(p.kept) < p.size }

// body is the page as it was.
func (p page) body() ([]byte, error) {
	if !p.compressed() {
		return p.kept, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(p.kept))
	if err != nil {
		return nil, err
	}
	b := make([]byte, p.size)
	_, err = io.ReadFull(z, b)
	return b, err
}
