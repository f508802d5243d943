package api

import (
	"context"
	"time"

	"keyward/manager"
	"keyward/manager/store"
)

type tokenFilter struct {
	Paged
	Consumer string    `query:"consumer" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Only this consumer's"`
	Replaced bool      `query:"replaced" doc:"Only those that were rotated and still work: last_used says who has not moved on"`
	Before   time.Time `query:"issued_before" doc:"Only those that were issued before it and still work: what is older than a policy allows"`
}

type issueToken struct {
	Mutation
	Body manager.TokenSpec
}

type rotateToken struct {
	Versioned
	Body manager.TokenRotation
}

// An issuedToken is a token with its text, which is shown only here.
type issuedToken struct {
	manager.Token
	Secret string `json:"secret" doc:"The consumer token. It is shown this once"`
}

func issued(i manager.Issued[manager.Token], err error) (*changed[issuedToken], error) {
	return created(issuedToken{i.Object, i.Secret}, i.Object.Meta, "/v1/tokens"), err
}

func (a *API) registerTokens() {
	const path = "/v1/tokens"
	write(a, creation("issue-token", "POST "+path, "Issue a consumer token", manager.Operator),
		func(ctx context.Context, tx *store.Tx, in *issueToken) (*changed[issuedToken], error) {
			return issued(tx.IssueToken(ctx, in.Body))
		})
	read(a, operation("list-tokens", "GET "+path, "List consumer tokens", manager.Auditor),
		func(ctx context.Context, in *tokenFilter) (*listed[manager.Token], error) {
			return listOf(a.store.Tokens(ctx, store.TokenFilter{Consumer: in.Consumer, Replaced: in.Replaced, Before: in.Before}, in.page()))
		})
	read(a, operation("get-token", "GET "+path+"/{id}", "Get what is known of a consumer token", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.Token], error) {
			t, err := a.store.Token(ctx, in.ID)
			return &object[manager.Token]{etag(t.Meta), t}, err
		})
	op := creation("rotate-token", "POST "+path+"/{id}/rotate", "Issue a token's successor; the old one ends with the overlap", manager.Operator)
	write(a, op, func(ctx context.Context, tx *store.Tx, in *rotateToken) (*changed[issuedToken], error) {
		version, err := in.may()
		if err != nil {
			return nil, err
		}
		return issued(tx.RotateToken(ctx, in.ID, version, in.Body))
	})
	write(a, operation("revoke-token", "POST "+path+"/{id}/revoke", "Revoke a consumer token", manager.Operator),
		func(ctx context.Context, tx *store.Tx, in *Versioned) (*changed[manager.Token], error) {
			version, err := in.may()
			if err != nil {
				return nil, err
			}
			t, err := tx.RevokeToken(ctx, in.ID, version)
			return as(t, t.Meta), err
		})
}
