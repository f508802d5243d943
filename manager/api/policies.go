package api

import (
	"context"

	"keyward/manager"
	"keyward/manager/store"
)

type createPolicy struct {
	Mutation
	Body manager.PolicySpec
}

type tryPolicy struct{ Body manager.PolicySource }

type checkAnswer struct {
	Body struct {
		Bytes int `json:"bytes" doc:"Size of the program that the policy compiles to"`
	}
}

type testAnswer struct{ Body manager.PolicyTests }

type diffPolicy struct {
	ByID
	From string `query:"from" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Version to compare with; absent: the live one"`
}

type diffAnswer struct {
	Body struct {
		From string `json:"from" doc:"Version compared with; empty: none was live"`
		To   string `json:"to"`
		Diff string `json:"diff" doc:"Unified difference of modules and data; empty: they are the same"`
	}
}

type publishPolicy struct {
	Versioned
	Instead string `query:"instead" maxLength:"64" doc:"Publish only if this version is live now; absent: whichever is"`
	program []byte
}

type rollbackPolicy struct {
	Mutation
	id      string
	program []byte
}

func (a *API) registerPolicies() {
	const path = "/v1/policies"
	writePrepared(a, creation("create-policy", "POST "+path, "Keep a new policy version, once it compiles", manager.Operator),
		func(ctx context.Context, in *createPolicy) error {
			_, err := a.compile(ctx, in.Body.PolicySource)
			return err
		},
		func(ctx context.Context, tx *store.Tx, in *createPolicy) (*changed[manager.PolicyText], error) {
			p, err := tx.CreatePolicy(ctx, in.Body)
			return created(p, p.Meta, path), err
		})
	read(a, operation("list-policies", "GET "+path, "List policy versions, without their text", manager.Auditor),
		func(ctx context.Context, in *Paged) (*listed[manager.Policy], error) {
			return listOf(a.store.Policies(ctx, in.page()))
		})
	read(a, operation("get-policy", "GET "+path+"/{id}", "Get a policy version", manager.Auditor),
		func(ctx context.Context, in *ByID) (*object[manager.PolicyText], error) {
			p, err := a.store.Policy(ctx, in.ID)
			return &object[manager.PolicyText]{etag(p.Meta), p}, err
		})
	a.registerPolicyTrials(path)
	a.registerPublishing(path)
}

// registerPolicyTrials registers what a policy can be tried with. POST is for
// the body; nothing is changed.
func (a *API) registerPolicyTrials(path string) {
	read(a, operation("check-policy", "POST /v1/policy/check", "Compile a policy without keeping it", manager.Operator, 400, 413, 415, 501),
		func(ctx context.Context, in *tryPolicy) (*checkAnswer, error) {
			program, err := a.compile(ctx, in.Body)
			out := &checkAnswer{}
			out.Body.Bytes = len(program)
			return out, err
		})
	read(a, operation("test-policy", "POST /v1/policy/test", "Run the tests of a policy without keeping it", manager.Operator, 400, 413, 415, 501),
		func(ctx context.Context, in *tryPolicy) (*testAnswer, error) {
			if err := in.Body.Validate(); err != nil {
				return nil, err
			}
			if a.compiler == nil {
				return nil, errNoCompiler
			}
			r, err := a.compiler.Test(ctx, in.Body)
			return &testAnswer{r}, err
		})
	read(a, operation("diff-policy", "GET "+path+"/{id}/diff", "Compare a policy version with another", manager.Auditor), a.diffPolicies)
}

func (a *API) registerPublishing(path string) {
	writePrepared(a, operation("publish-policy", "POST "+path+"/{id}/publish", "Let a policy version decide, once its tests pass", manager.Admin, 501),
		func(ctx context.Context, in *publishPolicy) error {
			p, err := a.store.Policy(ctx, in.ID)
			if err != nil {
				return err
			}
			if in.program, err = a.compile(ctx, p.PolicySource); err != nil {
				return err
			}
			tests, err := a.compiler.Test(ctx, p.PolicySource)
			if err == nil && !tests.Passed {
				err = &manager.Error{Kind: manager.KindPolicy, ID: in.ID, Err: manager.ErrState, Why: "its tests fail:\n" + tests.Report}
			}
			return err
		},
		func(ctx context.Context, tx *store.Tx, in *publishPolicy) (*changed[manager.Policy], error) {
			version, err := in.may() // the text of a version never changes
			if err != nil {
				return nil, err
			}
			if in.Instead != "" {
				if err := tx.ExpectPolicy(ctx, in.Instead); err != nil {
					return nil, err
				}
			}
			p, err := tx.PublishPolicy(ctx, in.ID, version, in.program)
			return as(p, p.Meta), err
		})
	writePrepared(a, operation("rollback-policy", "POST /v1/policy/rollback", "Let the version decide that was live before", manager.Admin, 501),
		func(ctx context.Context, in *rollbackPolicy) (err error) {
			if in.id, err = a.store.PreviousPolicy(ctx); err != nil {
				return err
			}
			p, err := a.store.Policy(ctx, in.id)
			if err != nil {
				return err
			}
			in.program, err = a.compile(ctx, p.PolicySource)
			return err
		},
		func(ctx context.Context, tx *store.Tx, in *rollbackPolicy) (*changed[manager.Policy], error) {
			if id, err := tx.PreviousPolicy(ctx); err != nil || id != in.id {
				return nil, &manager.Error{Kind: manager.KindPolicy, ID: in.id, Err: manager.ErrVersion}
			}
			p, err := tx.PublishPolicy(ctx, in.id, 0, in.program)
			return as(p, p.Meta), err
		})
}

func (a *API) compile(ctx context.Context, src manager.PolicySource) ([]byte, error) {
	if err := src.Validate(); err != nil {
		return nil, err
	}
	if a.compiler == nil {
		return nil, errNoCompiler
	}
	return a.compiler.Compile(ctx, src)
}

func (a *API) diffPolicies(ctx context.Context, in *diffPolicy) (*diffAnswer, error) {
	to, err := a.store.Policy(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out := &diffAnswer{}
	out.Body.To, out.Body.From = in.ID, in.From
	if in.From == "" {
		st, err := a.store.Status(ctx)
		if err != nil {
			return nil, err
		}
		out.Body.From = st.Policy
	}
	var from manager.PolicyText
	if out.Body.From != "" {
		if from, err = a.store.Policy(ctx, out.Body.From); err != nil {
			return nil, err
		}
	}
	out.Body.Diff = from.Diff(to.PolicySource)
	return out, nil
}
