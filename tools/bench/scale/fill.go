package main

import (
	"context"
	"fmt"
	"os"

	"keyward"
	"keyward/manager"
	"keyward/manager/rego"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// batch is how many consumers one transaction makes.
const batch = 500

type size struct{ consumers, targets, grants int }

// A filled is a store with everything in it.
type filled struct {
	*store.Store
	targets int
	gateway string   // token of the one gateway
	tokens  []string // of some consumers, spread over all
	ids     []string // of the same
}

func targetID(n int) string   { return fmt.Sprintf("t%04d", n) }
func consumerID(n int) string { return fmt.Sprintf("c%06d", n) }

// fill makes a store of a size.
func fill(ctx context.Context, path string, z size) (*filled, error) {
	s, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return nil, err
	}
	f := &filled{Store: s, targets: z.targets}
	mutate := func(fn func(*store.Tx) error) error {
		_, err := s.Mutate(ctx, store.Mutation{By: manager.Self}, fn)
		return err
	}
	if err := mutate(func(tx *store.Tx) error { return f.frame(ctx, tx, z) }); err != nil {
		return nil, err
	}
	every := max(1, z.consumers/1000)
	for first := 0; first < z.consumers; first += batch {
		if first%10_000 == 0 {
			fmt.Fprintf(os.Stderr, "made %d of %d consumers\n", first, z.consumers)
		}
		err := mutate(func(tx *store.Tx) error {
			for n := first; n < min(first+batch, z.consumers); n++ {
				token, err := consumer(ctx, tx, n, z)
				if err != nil {
					return err
				}
				if n%every == 0 {
					f.tokens, f.ids = append(f.tokens, token), append(f.ids, consumerID(n))
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

// frame makes what there is besides consumers.
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
	return nil
}

// consumer makes one consumer with its token and grants; the first grant of the
// n-th is on target n modulo the number of targets.
func consumer(ctx context.Context, tx *store.Tx, n int, z size) (string, error) {
	if _, err := tx.CreateConsumer(ctx, manager.ConsumerSpec{ID: consumerID(n), Kind: "worker"}); err != nil {
		return "", err
	}
	t, err := tx.IssueToken(ctx, manager.TokenSpec{Consumer: consumerID(n)})
	if err != nil {
		return "", err
	}
	for i := range min(z.grants, z.targets) {
		_, err := tx.CreateGrant(ctx, manager.NewGrant{Consumer: consumerID(n), Target: targetID((n + i) % z.targets)})
		if err != nil {
			return "", err
		}
	}
	return t.Secret, nil
}
