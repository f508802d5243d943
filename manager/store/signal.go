package store

import "sync"

// A signal wakes all who wait for it.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

// next returns a channel that is closed when the signal is next given. Take it
// before looking at what the signal is about.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

func (s *signal) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}

// Changed returns a channel that is closed once the generation may have grown.
// Take it before reading the state. Changes by other Managers are heard of while
// [Store.Listen] runs.
func (s *Store) Changed() <-chan struct{} { return s.changed.next() }

// Seen returns a channel that is closed once a gateway confirmed something to
// this Manager.
func (s *Store) Seen() <-chan struct{} { return s.seen.next() }

// Logged returns a channel that is closed once the log may have grown. Take it
// before reading the log. Entries by other Managers are heard of while
// [Store.Listen] runs.
func (s *Store) Logged() <-chan struct{} { return s.logged.next() }
