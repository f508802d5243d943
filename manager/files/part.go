package files

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"

	"keyward/manager"
	"keyward/manager/files/wire"
	"keyward/manager/store"
)

// WorkerPrefix is before a Worker's id in the prefix that is its own.
const WorkerPrefix = "workers/"

// Name is the part's name in the store.
func (s *Service) Name() string { return "files" }

// Make gives a Worker the use of this service and of its own prefix, by grants as
// an administrator gives them; what it has already is left. An object store has no
// folders, so there is nothing else to make; but one that does not answer is found
// out now.
func (s *Service) Make(ctx context.Context, w manager.Worker) error {
	if err := s.objects.Prepare(ctx); err != nil {
		return err
	}
	for _, g := range []manager.NewGrant{
		{Consumer: w.Consumer, Target: s.opt.Service, GrantSpec: manager.GrantSpec{Paths: []string{wire.Path}}},
		{Consumer: w.Consumer, Target: s.opt.Target, GrantSpec: manager.GrantSpec{
			Methods: []string{http.MethodGet, http.MethodPut}, Paths: []string{"/" + s.objects.Bucket() + "/" + WorkerPrefix + w.ID},
		}},
	} {
		if err := s.grant(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// grant makes a grant unless there is an equal one.
func (s *Service) grant(ctx context.Context, n manager.NewGrant) error {
	_, err := s.store.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
		l, err := tx.Grants(ctx, store.GrantFilter{Consumer: n.Consumer, Target: n.Target}, manager.Page{Limit: manager.MaxPage})
		if err != nil {
			return err
		}
		for _, g := range l.Items {
			if reflect.DeepEqual(g.GrantSpec, n.GrantSpec) {
				return nil
			}
		}
		_, err = tx.CreateGrant(ctx, n)
		return err
	})
	return err
}

// Retire has nothing to end: a Worker's grants died with its consumer, so that the
// gateway refuses the links that it still has, and each of them ends within
// minutes. Its files stay.
func (s *Service) Retire(_ context.Context, w manager.Worker) error {
	s.opt.Log.Info("files: a Worker's files stay", slog.String("worker", w.ID), slog.String("prefix", WorkerPrefix+w.ID))
	return nil
}
