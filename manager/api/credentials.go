package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
)

type enrolCredential struct {
	Mutation
	Transport
	Body struct {
		manager.CredentialSpec
		ClearText
	}
}

type rotateCredential struct {
	Versioned
	Transport
	Body struct {
		manager.CredentialRotation
		ClearText
	}
}

func (a *API) registerCredentials() {
	const path = "/v1/credentials"
	writePrepared(a, creation("enrol-credential", "POST "+path, "Enrol a key, sealed to the gateways", manager.Admin),
		func(ctx context.Context, in *enrolCredential) (err error) {
			b := &in.Body
			b.CredentialSealed, err = a.sealed(ctx, in.Transport, b.ClearText, b.CredentialSealed, b.ID, 1)
			return err
		},
		func(ctx context.Context, tx *store.Tx, in *enrolCredential) (*changed[manager.Credential], error) {
			c, err := tx.CreateCredential(ctx, in.Body.CredentialSpec)
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
	writePrepared(a, op,
		func(ctx context.Context, in *rotateCredential) (err error) {
			b := &in.Body
			b.CredentialSealed, err = a.sealed(ctx, in.Transport, b.ClearText, b.CredentialSealed, in.ID, b.Number)
			return err
		},
		func(ctx context.Context, tx *store.Tx, in *rotateCredential) (*changed[manager.Credential], error) {
			version, err := in.may() // the number in the body can't be used twice
			if err != nil {
				return nil, err
			}
			c, err := tx.RotateCredential(ctx, in.ID, version, in.Body.CredentialRotation)
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
