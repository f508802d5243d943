package filtertest

import (
	"bytes"
	"sync"
	"time"

	"keyward/plugins/filter"
)

// A Store is the shared data of one vm_id, for any number of hosts. Its zero
// value is empty.
type Store struct {
	mu      sync.Mutex
	last    uint32
	entries map[string]entry
	Gets    int // how often it was read
}

type entry struct {
	value   []byte
	version uint32
}

// Shared reads a value.
func (s *Store) Shared(key string) ([]byte, uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Gets++
	e, ok := s.entries[key]
	if !ok {
		return nil, 0, filter.ErrNotFound
	}
	return bytes.Clone(e.value), e.version, nil
}

// Share stores a value.
func (s *Store) Share(key string, value []byte, version uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.entries[key]; ok && version != 0 && version != e.version {
		return filter.ErrChanged
	}
	if s.entries == nil {
		s.entries = map[string]entry{}
	}
	s.last++
	s.entries[key] = entry{bytes.Clone(value), s.last}
	return nil
}

// Keys lists what is stored, in no order.
func (s *Store) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	for k := range s.entries {
		keys = append(keys, k)
	}
	return keys
}

// A LiveHost is a [Host] that offers all that a host may offer.
type LiveHost struct {
	Host
	*Store                         // one for all hosts of a vm_id
	Period time.Duration           // what SetTick was told
	Calls  []*Call                 // made and not answered, oldest first
	Refuse func(filter.Call) error // nil: every call is made
	// Serve answers a call at once, or reports that it is one for Calls; nil: each
	// is.
	Serve func(filter.Call) (filter.Answer, bool)
}

// A Call is one that waits for its answer.
type Call struct {
	filter.Call
	Limit int
	done  func(filter.Answer)
}

var (
	_ filter.Sharer = (*LiveHost)(nil)
	_ filter.Caller = (*LiveHost)(nil)
	_ filter.Ticker = (*LiveHost)(nil)
)

// SetTick keeps the period in Period.
func (h *LiveHost) SetTick(period time.Duration) error {
	h.Period = period
	return nil
}

// Call keeps the call in Calls.
func (h *LiveHost) Call(c filter.Call, limit int, done func(filter.Answer)) error {
	if h.Refuse != nil {
		if err := h.Refuse(c); err != nil {
			return err
		}
	}
	if h.Serve != nil {
		if a, ok := h.Serve(c); ok {
			done(a)
			return nil
		}
	}
	h.Calls = append(h.Calls, &Call{c, limit, done})
	return nil
}

// Answer answers the oldest call as a host does.
func (h *LiveHost) Answer(a filter.Answer) {
	c := h.Calls[0]
	h.Calls = h.Calls[1:]
	if len(a.Body) > c.Limit {
		a = filter.Answer{}
	}
	c.done(a)
}
