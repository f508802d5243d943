package compile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"keyward/policies/engine"
)

// An oracle evaluates policies with OPA itself.
type oracle struct {
	oracleOptions
	compiler *ast.Compiler
	store    storage.Store
	txn      storage.Transaction
	queries  map[string]ast.Body
}

// oracleOptions are what OPA's answer must not depend on, but does: see
// TestWhereOPAContradictsItself.
type oracleOptions struct {
	lazy  bool // read the base document bit by bit
	plain bool // use no index
	raw   bool // take a value as it is, even if that can't be
	// write a set whose elements are not known as a union of such of one: OPA
	// sorts that once they are
	united bool
}

func newOracle(src Source, opt oracleOptions) (*oracle, error) {
	modules, err := parse(src.Modules)
	if err != nil {
		return nil, err
	}
	if opt.united {
		for _, m := range modules {
			if _, err := ast.Transform(ast.NewGenericTransformer(unite), m); err != nil {
				return nil, err
			}
		}
	}
	c := ast.NewCompiler().WithCapabilities(Capabilities(true)).WithDefaultRegoVersion(ast.RegoV1)
	if opt.plain {
		c = c.WithSkipStages(ast.StageBuildComprehensionIndices)
	}
	if c.Compile(modules); c.Failed() {
		return nil, c.Errors
	}
	store := inmem.NewFromObjectWithOpts(src.Data, inmem.OptReturnASTValuesOnRead(!opt.lazy))
	o := &oracle{oracleOptions: opt, compiler: c, store: store, queries: map[string]ast.Body{}}
	o.txn, err = o.store.NewTransaction(context.Background())
	return o, err
}

// unite makes {a, b} of what is not known yet {a} | {b}.
func unite(x any) (any, error) {
	if some, ok := x.(*ast.SomeDecl); ok { // which Transform leaves out
		for _, s := range some.Symbols {
			v, err := ast.Transform(ast.NewGenericTransformer(unite), s.Value)
			if err != nil {
				return nil, err
			}
			s.Value = v.(ast.Value)
		}
		return some, nil
	}
	set, ok := x.(ast.Set)
	if !ok || ast.IsConstant(set) {
		return x, nil
	}
	var united *ast.Term
	for _, e := range set.Slice() {
		one := ast.SetTerm(e)
		if united != nil {
			one = ast.Or.Call(united, one)
		}
		united = one
	}
	return united.Value, nil
}

// query returns the query for a rule's value as x.
func (o *oracle) query(rule string) (ast.Body, error) {
	if q, ok := o.queries[rule]; ok {
		return q, nil
	}
	body, err := ast.ParseBody("data." + strings.ReplaceAll(rule, "/", ".") + " = x")
	if err != nil {
		return nil, err
	}
	q, err := o.compiler.QueryCompiler().Compile(body)
	if err != nil {
		return nil, err
	}
	o.queries[rule] = q
	return q, nil
}

// patience is how long OPA, which has no limits, may take for one evaluation.
const patience = 200 * time.Millisecond

// errOracle reports that OPA itself failed: it panicked, or says so.
var errOracle = errors.New("OPA fails")

// says reports whether OPA, too, comes to out.
func (o *oracle) says(out outcome, rule string, input ast.Value, strict bool) bool {
	other, err := o.eval(rule, input, strict)
	return err == nil && other == out
}

func (o *oracle) eval(rule string, input ast.Value, strict bool) (out outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errOracle, r)
		}
	}()
	body, err := o.query(rule)
	if err != nil {
		return out, err
	}
	q := topdown.NewQuery(body).
		WithCompiler(o.compiler).
		WithStore(o.store).
		WithTransaction(o.txn).
		WithTime(time.Unix(0, decisionTime)).
		WithIndexing(!o.plain).
		WithStrictBuiltinErrors(strict)
	if input != nil {
		q = q.WithInput(ast.NewTerm(input))
	}
	stop := topdown.NewCancel()
	timer := time.AfterFunc(patience, stop.Cancel)
	defer timer.Stop()
	rs, err := q.WithCancel(stop).Run(context.Background())
	var te *topdown.Error
	switch {
	case topdown.IsCancel(err):
		return out, err
	case errors.As(err, &te) && te.Code == topdown.InternalErr && !o.raw:
		return out, fmt.Errorf("%w: %v", errOracle, te)
	case errors.As(err, &te):
		return outcome{code: te.Code}, nil
	case err != nil:
		return out, err
	case len(rs) == 0:
		return out, nil
	}
	v := rs[0]["x"].Value
	if !o.raw {
		if v, err = settled(v); err != nil {
			return outcome{code: string(engine.ErrConflict)}, nil
		}
	}
	return outcome{value: v.String()}, nil
}

var errTwoValues = errors.New("one key has two values")

// settled returns v without what can't be in it: OPA's walk changes paths that it
// has handed out, so that a set may have an element twice, and an object a key.
func settled(v ast.Value) (ast.Value, error) {
	switch v := v.(type) {
	case *ast.Array:
		elems := make([]*ast.Term, 0, v.Len())
		err := v.Iter(func(e *ast.Term) error {
			x, err := settled(e.Value)
			elems = append(elems, ast.NewTerm(x))
			return err
		})
		return ast.NewArray(elems...), err
	case ast.Set:
		s := ast.NewSet()
		return s, v.Iter(func(e *ast.Term) error {
			x, err := settled(e.Value)
			s.Add(ast.NewTerm(x))
			return err
		})
	case ast.Object:
		o := ast.NewObject()
		return o, v.Iter(func(k, e *ast.Term) error {
			key, err := settled(k.Value)
			if err != nil {
				return err
			}
			x, err := settled(e.Value)
			if old := o.Get(ast.NewTerm(key)); old != nil && old.Value.Compare(x) != 0 {
				return errTwoValues
			}
			o.Insert(ast.NewTerm(key), ast.NewTerm(x))
			return err
		})
	}
	return v, nil
}
