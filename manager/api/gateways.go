package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
)

type createGateway struct {
	Mutation
	Body manager.GatewaySpec
}

// An issuedGateway is a gateway with its token, which is shown only here.
type issuedGateway struct {
	manager.Gateway
	Secret string `json:"secret" doc:"The gateway's token. It is shown this once"`
}

func issuedGatewayOf(i manager.Issued[manager.Gateway], err error) (*changed[issuedGateway], error) {
	return created(issuedGateway{i.Object, i.Secret}, i.Object.Meta, "/v1/gateways"), err
}

func (a *API) registerGateways() {
	const path = "/v1/gateways"
	write(a, creation("create-gateway", "POST "+path, "Make a gateway known, and issue its token", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *createGateway) (*changed[issuedGateway], error) {
			return issuedGatewayOf(tx.CreateGateway(ctx, in.Body))
		})
	read(a, operation("list-gateways", "GET "+path, "List gateways with what they confirmed", manager.Auditor),
		func(ctx context.Context, in *Paged) (*listed[manager.Gateway], error) {
			return listOf(a.store.Gateways(ctx, in.page()))
		})
	read(a, operation("get-gateway", "GET "+path+"/{id}", "Get a gateway", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.Gateway], error) {
			g, err := a.store.Gateway(ctx, in.ID)
			return &object[manager.Gateway]{etag(g.Meta), g}, err
		})
	op := creation("rotate-gateway", "POST "+path+"/{id}/rotate", "Issue a gateway a new token; the old one ends at once", manager.Admin)
	write(a, op, func(ctx context.Context, tx *store.Tx, in *Versioned) (*changed[issuedGateway], error) {
		version, err := in.may()
		if err != nil {
			return nil, err
		}
		return issuedGatewayOf(tx.RotateGateway(ctx, in.ID, version))
	})
	write(a, operation("delete-gateway", "DELETE "+path+"/{id}", "End a gateway's access to the Manager", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *Versioned) (*gone, error) {
			version, err := in.may()
			if err != nil {
				return nil, err
			}
			return &gone{}, tx.DeleteGateway(ctx, in.ID, version)
		})
}
