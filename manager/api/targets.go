package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
)

type createTarget struct {
	Mutation
	Body manager.NewTarget
}

type updateTarget struct {
	Versioned
	Body manager.TargetSpec
}

func (a *API) registerTargets() {
	const path = "/v1/targets"
	write(a, creation("create-target", "POST "+path, "Create a target", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *createTarget) (*changed[manager.Target], error) {
			t, err := tx.CreateTarget(ctx, in.Body)
			return created(t, t.Meta, path), err
		})
	read(a, operation("list-targets", "GET "+path, "List targets", manager.Auditor),
		func(ctx context.Context, in *Paged) (*listed[manager.Target], error) {
			return listOf(a.store.Targets(ctx, in.page()))
		})
	read(a, operation("get-target", "GET "+path+"/{id}", "Get a target", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.Target], error) {
			t, err := a.store.Target(ctx, in.ID)
			return &object[manager.Target]{etag(t.Meta), t}, err
		})
	write(a, operation("update-target", "PUT "+path+"/{id}", "Change a target", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *updateTarget) (*changed[manager.Target], error) {
			version, err := in.need()
			if err != nil {
				return nil, err
			}
			t, err := tx.UpdateTarget(ctx, in.ID, version, in.Body)
			return as(t, t.Meta), err
		})
	write(a, operation("delete-target", "DELETE "+path+"/{id}", "Delete a target with the grants for it", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *Versioned) (*gone, error) {
			version, err := in.may()
			if err != nil {
				return nil, err
			}
			return &gone{}, tx.DeleteTarget(ctx, in.ID, version)
		})
}
