package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
)

type issueAdminToken struct {
	Mutation
	Body manager.AdminTokenSpec
}

// An issuedAdminToken is an admin token with its text, which is shown only here.
type issuedAdminToken struct {
	manager.AdminToken
	Secret string `json:"secret" doc:"The admin token. It is shown this once"`
}

func (a *API) registerAdminTokens() {
	const path = "/v1/admin-tokens"
	write(a, creation("issue-admin-token", "POST "+path, "Issue an admin token", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *issueAdminToken) (*changed[issuedAdminToken], error) {
			i, err := tx.IssueAdminToken(ctx, in.Body)
			return created(issuedAdminToken{i.Object, i.Secret}, i.Object.Meta, path), err
		})
	read(a, operation("list-admin-tokens", "GET "+path, "List admin tokens", manager.Auditor),
		func(ctx context.Context, in *Paged) (*listed[manager.AdminToken], error) {
			return listOf(a.store.AdminTokens(ctx, in.page()))
		})
	read(a, operation("get-admin-token", "GET "+path+"/{id}", "Get what is known of an admin token", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.AdminToken], error) {
			t, err := a.store.AdminToken(ctx, in.ID)
			return &object[manager.AdminToken]{etag(t.Meta), t}, err
		})
	write(a, operation("delete-admin-token", "DELETE "+path+"/{id}", "End an admin token", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *Versioned) (*gone, error) {
			version, err := in.may()
			if err != nil {
				return nil, err
			}
			return &gone{}, tx.DeleteAdminToken(ctx, in.ID, version)
		})
}
