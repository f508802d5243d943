package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
)

type consumerFilter struct {
	Paged
	State snapshot.State `query:"state" enum:"active,suspended,revoked" doc:"Only those in this state"`
}

type createConsumer struct {
	Mutation
	Body manager.ConsumerSpec
}

type updateConsumer struct {
	Versioned
	Body manager.ConsumerUpdate
}

type setOverride struct {
	Versioned
	Target string `path:"target" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63"`
	Body   struct {
		Credential string `json:"credential" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Id of the consumer's own credential for the target"`
	}
}

type clearOverride struct {
	Versioned
	Target string `path:"target" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63"`
}

func (a *API) registerConsumers() {
	const path = "/v1/consumers"
	write(a, creation("create-consumer", "POST "+path, "Create a consumer", manager.Operator),
		func(ctx context.Context, tx *store.Tx, in *createConsumer) (*changed[manager.Consumer], error) {
			c, err := tx.CreateConsumer(ctx, in.Body)
			return created(c, c.Meta, path), err
		})
	read(a, operation("list-consumers", "GET "+path, "List consumers", manager.Auditor),
		func(ctx context.Context, in *consumerFilter) (*listed[manager.Consumer], error) {
			return listOf(a.store.Consumers(ctx, in.State, in.page()))
		})
	read(a, operation("get-consumer", "GET "+path+"/{id}", "Get a consumer", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.Consumer], error) {
			c, err := a.store.Consumer(ctx, in.ID)
			return &object[manager.Consumer]{etag(c.Meta), c}, err
		})
	write(a, operation("update-consumer", "PUT "+path+"/{id}", "Change a consumer's labels", manager.Operator),
		func(ctx context.Context, tx *store.Tx, in *updateConsumer) (*changed[manager.Consumer], error) {
			version, err := in.need()
			if err != nil {
				return nil, err
			}
			c, err := tx.UpdateConsumer(ctx, in.ID, version, in.Body)
			return as(c, c.Meta), err
		})
	write(a, operation("delete-consumer", "DELETE "+path+"/{id}", "Delete a consumer with its tokens and grants", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *Versioned) (*gone, error) {
			version, err := in.may()
			if err != nil {
				return nil, err
			}
			return &gone{}, tx.DeleteConsumer(ctx, in.ID, version)
		})
	a.registerConsumerStates(path)
	a.registerOverrides(path)
}

func (a *API) registerConsumerStates(path string) {
	for _, s := range []struct {
		verb, summary string
		state         snapshot.State
	}{
		{"suspend", "Suspend a consumer: it may do nothing until it is resumed. A Worker's container is stopped", snapshot.Suspended},
		{"resume", "Resume a suspended consumer. A Worker's container is started", snapshot.Active},
		{"revoke", "Revoke a consumer for good. A Worker's container is stopped, and never started again", snapshot.Revoked},
	} {
		write(a, operation(s.verb+"-consumer", "POST "+path+"/{id}/"+s.verb, s.summary, manager.Operator),
			func(ctx context.Context, tx *store.Tx, in *Versioned) (*changed[manager.Consumer], error) {
				version, err := in.may()
				if err != nil {
					return nil, err
				}
				c, err := tx.SetConsumerState(ctx, in.ID, version, s.state)
				return as(c, c.Meta), err
			})
	}
}

func (a *API) registerOverrides(path string) {
	write(a, operation("set-consumer-credential", "PUT "+path+"/{id}/credentials/{target}", "Give a consumer a credential of its own for a target", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *setOverride) (*changed[manager.Consumer], error) {
			version, err := in.need()
			if err != nil {
				return nil, err
			}
			c, err := tx.SetOverride(ctx, in.ID, version, in.Target, in.Body.Credential)
			return as(c, c.Meta), err
		})
	write(a, operation("clear-consumer-credential", "DELETE "+path+"/{id}/credentials/{target}", "Let a consumer use the target's credential again", manager.Admin),
		func(ctx context.Context, tx *store.Tx, in *clearOverride) (*changed[manager.Consumer], error) {
			version, err := in.need()
			if err != nil {
				return nil, err
			}
			c, err := tx.SetOverride(ctx, in.ID, version, in.Target, "")
			return as(c, c.Meta), err
		})
}
