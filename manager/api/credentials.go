package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
)

type enrolCredential struct {
	Mutation
	Body manager.CredentialSpec
}

type rotateCredential struct {
	Versioned
	Body manager.CredentialRotation
}

func (a *API) registerCredentials() {
	const path = "/v1/credentials"
	write(a, creation("enrol-credential", "POST "+path, "Enrol a key, sealed to the gateways", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *enrolCredential) (*changed[manager.Credential], error) {
			c, err := tx.CreateCredential(ctx, in.Body)
			return created(c, c.Meta, path), err
		})
	read(a, operation("list-credentials", "GET "+path, "List credentials, without what is sealed", manager.Auditor),
		func(ctx context.Context, in *Paged) (*listed[manager.Credential], error) {
			return listOf(a.store.Credentials(ctx, in.page()))
		})
	read(a, operation("get-credential", "GET "+path+"/{id}", "Get a credential, without what is sealed", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.Credential], error) {
			c, err := a.store.Credential(ctx, in.ID)
			return &object[manager.Credential]{etag(c.Meta), c}, err
		})
	op := creation("rotate-credential", "POST "+path+"/{id}/versions", "Put a new version into use", manager.Admin)
	write(a, op, func(ctx context.Context, tx *store.Tx, in *rotateCredential) (*changed[manager.Credential], error) {
		version, err := in.may() // the number in the body can't be used twice
		if err != nil {
			return nil, err
		}
		c, err := tx.RotateCredential(ctx, in.ID, version, in.Body)
		return as(c, c.Meta), err
	})
	for _, v := range []struct {
		verb, summary string
		change        func(*store.Tx, context.Context, string, uint64) (manager.Credential, error)
	}{
		{"revert", "Go back to the newest version in its overlap", (*store.Tx).RevertCredential},
		{"retire", "Erase a credential; what refers to it is denied", (*store.Tx).RetireCredential},
	} {
		write(a, operation(v.verb+"-credential", "POST "+path+"/{id}/"+v.verb, v.summary, manager.Admin),
			func(ctx context.Context, tx *store.Tx, in *Versioned) (*changed[manager.Credential], error) {
				version, err := in.may()
				if err != nil {
					return nil, err
				}
				c, err := v.change(tx, ctx, in.ID, version)
				return as(c, c.Meta), err
			})
	}
}
