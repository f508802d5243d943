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
}

func newOracle(src Source, opt oracleOptions) (*oracle, error) {
	modules, err := parse(src.Modules)
	if err != nil {
		return nil, err
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

// errOracle reports that OPA itself crashed.
var errOracle = errors.New("OPA panics")

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
	case errors.As(err, &te):
		return outcome{code: te.Code}, nil
	case err != nil:
		return out, err
	case len(rs) == 0:
		return out, nil
	}
	return outcome{value: rs[0]["x"].String()}, nil
}
