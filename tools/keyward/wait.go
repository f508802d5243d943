package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"keyward/manager/client"
)

// waitStep is how often the Manager is asked whether a change is in force.
const waitStep = 200 * time.Millisecond

// changed ends a command that changed something: with --wait, it returns when
// every connected gateway has confirmed the change on all its worker threads.
func (s *session) changed(c client.Change) error {
	if s.wait <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx(), s.wait)
	defer cancel()
	tick := time.NewTicker(waitStep)
	defer tick.Stop()
	var late []string
	for {
		now, err := s.late(ctx, c.Generation)
		if err == nil && len(now) == 0 {
			return nil
		}
		if ctx.Err() == nil && err != nil {
			return err
		}
		if err == nil {
			late = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("generation %d: %w: %s", c.Generation, errWaiting, strings.Join(late, ", "))
		}
	}
}

// late names the connected gateways that have not confirmed a generation of the
// Manager's present epoch.
func (s *session) late(ctx context.Context, generation uint64) ([]string, error) {
	status, err := s.api.Status(ctx)
	if err != nil {
		return nil, err
	}
	all, err := client.All(ctx, s.api.Gateways)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, g := range all {
		if g.Lags(status, generation) {
			ids = append(ids, g.ID)
		}
	}
	return ids, nil
}
