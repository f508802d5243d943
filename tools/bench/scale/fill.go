package main

import (
	"context"
	"fmt"

	"keyward"
	"keyward/manager"
	"keyward/manager/rego"
	"keyward/manager/store"
	"keyward/manager/store/storetest"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

type size struct{ consumers, targets, grants int }

// A filled is a store with everything in it.
type filled struct {
	*store.Store
	targets int
	gateway string   // token of the one gateway
	tokens  []string // of consumers, by number
}

func targetID(n int) string   { return fmt.Sprintf("t%04d", n) }
func consumerID(n int) string { return fmt.Sprintf("c%06d", n) }

// fill makes a store of a size. The first grant of the n-th consumer is on
// target n modulo the number of targets.
func fill(ctx context.Context, path string, z size) (*filled, error) {
	s, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return nil, err
	}
	f := &filled{Store: s, targets: z.targets}
	if _, err := s.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error { return f.frame(ctx, tx, z) }); err != nil {
		return nil, err
	}
	f.tokens, err = storetest.Multiply(ctx, path, "template", z.consumers, consumerID)
	return f, err
}

// frame makes what there is besides consumers, and the one that is multiplied.
func (f *filled) frame(ctx context.Context, tx *store.Tx, z size) error {
	g, err := tx.CreateGateway(ctx, manager.GatewaySpec{ID: "bench"})
	if err != nil {
		return err
	}
	f.gateway = g.Secret
	src := manager.PolicySource{Modules: map[string]string{"policy.rego": keyward.DefaultPolicy}}
	p, err := tx.CreatePolicy(ctx, manager.PolicySpec{PolicySource: src})
	if err != nil {
		return err
	}
	program, err := rego.Compiler{}.Compile(ctx, src)
	if err != nil {
		return err
	}
	if _, err := tx.PublishPolicy(ctx, p.ID, 0, program); err != nil {
		return err
	}
	for n := range z.targets {
		_, err := tx.CreateTarget(ctx, manager.NewTarget{ID: targetID(n), TargetSpec: manager.TargetSpec{
			Kind: policies.KindHTTP, Match: []snapshot.Match{{Path: "/" + targetID(n)}},
		}})
		if err != nil {
			return err
		}
	}
	if _, err := tx.CreateConsumer(ctx, manager.ConsumerSpec{ID: "template", Kind: "worker"}); err != nil {
		return err
	}
	for n := range min(z.grants, z.targets) {
		if _, err := tx.CreateGrant(ctx, manager.NewGrant{Consumer: "template", Target: targetID(n)}); err != nil {
			return err
		}
	}
	return nil
}
