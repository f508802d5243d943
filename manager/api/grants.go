package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
)

// A GrantFilter is the input of a request for grants. It is exported because huma
// reads embedded structs only then.
type GrantFilter struct {
	Paged
	Consumer string `query:"consumer" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Only this consumer's"`
	Target   string `query:"target" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Only for this target"`
}

func (f GrantFilter) filter() store.GrantFilter {
	return store.GrantFilter{Consumer: f.Consumer, Target: f.Target}
}

type accessFilter struct {
	GrantFilter
	Tool string `query:"tool" maxLength:"256" doc:"Only grants for this tool; pages may then be short"`
}

type createGrant struct {
	Mutation
	Body manager.NewGrant
}

type updateGrant struct {
	Versioned
	Body manager.GrantSpec
}

func (a *API) registerGrants() {
	const path = "/v1/grants"
	write(a, creation("create-grant", "POST "+path, "Grant a consumer the use of a target", manager.Operator),
		func(ctx context.Context, tx *store.Tx, in *createGrant) (*changed[manager.Grant], error) {
			g, err := tx.CreateGrant(ctx, in.Body)
			return created(g, g.Meta, path), err
		})
	read(a, operation("list-grants", "GET "+path, "List grants", manager.Auditor),
		func(ctx context.Context, in *GrantFilter) (*listed[manager.Grant], error) {
			return listOf(a.store.Grants(ctx, in.filter(), in.page()))
		})
	read(a, operation("get-grant", "GET "+path+"/{id}", "Get a grant", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.Grant], error) {
			g, err := a.store.Grant(ctx, in.ID)
			return &object[manager.Grant]{etag(g.Meta), g}, err
		})
	write(a, operation("update-grant", "PUT "+path+"/{id}", "Change a grant", manager.Operator),
		func(ctx context.Context, tx *store.Tx, in *updateGrant) (*changed[manager.Grant], error) {
			version, err := in.need()
			if err != nil {
				return nil, err
			}
			g, err := tx.UpdateGrant(ctx, in.ID, version, in.Body)
			return as(g, g.Meta), err
		})
	write(a, operation("revoke-grant", "DELETE "+path+"/{id}", "Revoke a grant", manager.Operator),
		func(ctx context.Context, tx *store.Tx, in *Versioned) (*gone, error) {
			version, err := in.may()
			if err != nil {
				return nil, err
			}
			return &gone{}, tx.RevokeGrant(ctx, in.ID, version)
		})
	read(a, operation("list-access", "GET /v1/access", "Who can do what: grants with whether they open anything now", manager.Auditor),
		func(ctx context.Context, in *accessFilter) (*listed[manager.Access], error) {
			return listOf(a.store.Access(ctx, in.filter(), in.Tool, in.page()))
		})
}
