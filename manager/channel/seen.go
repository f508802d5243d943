package channel

import (
	"context"
	"sync"
	"time"

	"keyward/manager"
	"keyward/manager/store"
)

// seenEvery is how often a gateway that confirms nothing new is noted as alive.
const seenEvery = 10 * time.Second

// maxAskers bounds what is kept; beyond it, it is learned anew.
const maxAskers = 4096

// seen notes what gateways confirm, and writes only what is new.
type seen struct {
	store *store.Store
	now   func() time.Time
	mu    sync.Mutex
	last  map[asker]confirmation
}

// An asker is an instance of a gateway.
type asker struct{ gateway, instance string }

type confirmation struct {
	manager.GatewayInstance
	at time.Time
}

func newSeen(s *store.Store, now func() time.Time) *seen {
	return &seen{store: s, now: now, last: map[asker]confirmation{}}
}

func (s *seen) note(ctx context.Context, gateway string, i manager.GatewayInstance) error {
	who, c := asker{gateway, i.ID}, confirmation{i, s.now()}
	s.mu.Lock()
	was, ok := s.last[who]
	s.mu.Unlock()
	if ok && was.GatewayInstance == i && c.at.Sub(was.at) < seenEvery {
		return nil
	}
	if err := s.store.SeenGateway(ctx, gateway, i); err != nil {
		return err
	}
	s.mu.Lock()
	if len(s.last) >= maxAskers {
		clear(s.last)
	}
	s.last[who] = c
	s.mu.Unlock()
	return nil
}
