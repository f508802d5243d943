package manager

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"keyward/manager"
	"keyward/manager/store"
)

// turns are what one of several Managers of a store does at a time. Another takes
// over a few seconds after it ended.
type turns struct {
	store  *store.Store
	holder string
	log    *slog.Logger
	mu     sync.Mutex
	mine   map[string]bool // what this Manager does now
}

func newTurns(s *store.Store, log *slog.Logger) (*turns, error) {
	holder, err := manager.NewID("", time.Now(), rand.Reader)
	return &turns{store: s, holder: holder, log: log, mine: map[string]bool{}}, err
}

// leads reports whether this Manager is the one that does it now.
func (t *turns) leads(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mine[name]
}

func (t *turns) set(name string, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mine[name] = mine
}

// lead runs run whenever it is this Manager's turn, until ctx is done.
func (t *turns) lead(ctx context.Context, name string, run func(context.Context)) {
	log := t.log.With(slog.String("for", name))
	t.store.Lead(ctx, name, t.holder, func(ctx context.Context) {
		t.set(name, true)
		defer t.set(name, false)
		run(ctx)
	}, func(err error) {
		if err != nil {
			log.Warn("can't ask whose turn it is", slog.Any("error", err))
		} else {
			log.Info("another Manager of this store has its turn")
		}
	})
}
