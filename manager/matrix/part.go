package matrix

import (
	"context"
	"errors"
	"fmt"

	"keyward/manager"
	"keyward/manager/store"
)

// A Part is what a Worker has of Matrix: its account, its room with the admins in
// it, and its token, which the gateway holds. It is a step of a Worker's creation.
type Part struct{ s *Service }

// Part returns the step. It waits for [Service.Run].
func (s *Service) Part() Part { return Part{s} }

// Name is how the store knows the step.
func (Part) Name() string { return "matrix" }

// Make makes what a Worker has of Matrix, or finds it made. That an admin can't be
// invited, or that something else about the room is amiss, is the keeper's alone.
func (p Part) Make(ctx context.Context, w manager.Worker) error {
	return p.keep(ctx, w)
}

// Retire ends all tokens of a Worker that is deleted, and erases the one that the
// gateway holds. The room stays, without it.
func (p Part) Retire(ctx context.Context, w manager.Worker) error {
	// After this the keeper lets it in no more.
	if err := p.keep(ctx, w); err != nil {
		return err
	}
	if err := p.s.signOut(ctx, p.s.userOf(w.Consumer)); err != nil {
		return fmt.Errorf("sign out: %w", brief(err))
	}
	c, err := p.s.store.Credential(ctx, credentialID(w.Consumer))
	if errors.Is(err, manager.ErrNotFound) || err == nil && c.Retired {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = p.s.store.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
		_, err := tx.RetireCredential(ctx, c.ID, c.Version)
		return err
	})
	return err
}

func (p Part) keep(ctx context.Context, w manager.Worker) error {
	err := p.s.keepNow(ctx, manager.RoomID(manager.RoomWorker, w.Consumer))
	if errors.As(err, new(untidy)) {
		return nil
	}
	return err
}
