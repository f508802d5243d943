package store

import (
	"context"
	"time"
)

// leaseTime is how long a Manager that ended without a word keeps others waiting.
// Clocks of Managers of one store may differ by less than half of it.
const leaseTime = 15 * time.Second

// askAgain is how often a Manager asks whether it is its turn.
const askAgain = 2 * time.Second

// Lead runs what one Manager of a store does at a time, whenever this one is it,
// until ctx is done. The context of run is done too before another may have taken
// over. holder names this start of this Manager and no other. told hears of
// errors, and of having to wait for another Manager (nil).
func (s *Store) Lead(ctx context.Context, name, holder string, run func(context.Context), told func(error)) {
	for waiting := false; ctx.Err() == nil; {
		held, err := s.lease(ctx, name, holder)
		if held && err == nil {
			waiting = false
			s.lead(ctx, name, holder, run)
			continue
		}
		if ctx.Err() == nil && (err != nil || !waiting) {
			told(err)
			waiting = err == nil
		}
		pass(ctx, askAgain)
	}
}

// lead runs run while the lease is held, and gives it back then.
func (s *Store) lead(ctx context.Context, name, holder string, run func(context.Context)) {
	leading, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(leading)
		if ctx.Err() == nil {
			pass(leading, askAgain) // what ends at once is not begun at once
		}
	}()
	renewed := time.Now()
	tick := time.NewTicker(leaseTime / 3)
	defer tick.Stop()
	for leading.Err() == nil {
		select {
		case <-done:
			cancel()
			continue
		case <-leading.Done():
			continue
		case <-tick.C:
		}
		began := time.Now()
		switch held, err := s.lease(leading, name, holder); {
		case err == nil && held:
			renewed = began
		case err == nil || time.Since(renewed) > leaseTime*2/3:
			cancel()
		}
	}
	cancel()
	<-done
	free, end := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer end()
	_ = s.observe(free, func(exec execFunc) error { // else it ends by itself
		return exec(`DELETE FROM leases WHERE name = $1 AND holder = $2`, name, holder)
	})
}

// lease takes or renews a lease; false: another holds it.
func (s *Store) lease(ctx context.Context, name, holder string) (held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTime/3)
	defer cancel()
	now := s.now()
	var got string
	err = s.write.QueryRowContext(ctx, `INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
		WHERE leases.holder = excluded.holder OR leases.until < $4 RETURNING holder`,
		name, holder, now.Add(leaseTime).UnixMilli(), now.UnixMilli()).Scan(&got)
	if noRows(err) {
		return false, nil
	}
	return err == nil, err
}

func pass(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
