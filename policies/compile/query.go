package compile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"

	"keyward/policies/engine"
)

// A Query is any query of Rego over a policy, such as "x := data.users[_]; x.old":
// planned by OPA, and run by the engine. It is used by one goroutine at a time.
type Query struct {
	prepared rego.PreparedEvalQuery
	vm       *engine.VM
	entry    engine.Entrypoint
	trace    func(engine.Event) // nil: it tells no steps
}

// QueryOptions of [NewQuery].
type QueryOptions struct {
	Package string   // that the query stands in, such as "keyward"; "" is none
	Imports []string // such as "data.keyward"
	Strict  bool     // an error in a builtin is one of the query

	trace func(engine.Event) // nil: none
}

// An Answer is one way in which a query holds, with the JSON form that OPA gives
// it.
type Answer struct {
	Expressions []Expression               `json:"expressions,omitempty"`
	Bindings    map[string]json.RawMessage `json:"bindings,omitempty"` // variables by name
}

// An Expression of a query, with its value; sets are arrays.
type Expression struct {
	Value    json.RawMessage `json:"value"`
	Text     string          `json:"text"`
	Location Position        `json:"location"`
}

// A Position is a place in a query, from 1.
type Position struct {
	Row int `json:"row"`
	Col int `json:"col"`
}

// target is how package rego calls the engine. What it plans and evaluates comes
// with the context: targets are there for the whole process.
type target struct{}

type targetKey struct{}

func init() { rego.RegisterPlugin("keyward-engine", target{}) }

func (target) IsTarget(name string) bool { return name == "keyward-engine" }

// preparing is what PrepareForEval gets with its context.
type preparing struct {
	data engine.Value
	q    *Query
}

func (target) PrepareForEval(ctx context.Context, p *ir.Policy, _ ...rego.PrepareOption) (rego.TargetPluginEval, error) {
	prep := ctx.Value(targetKey{}).(preparing)
	var told texts
	if prep.q.trace != nil {
		told = texts{} // the plan has them
	}
	image, err := lower(p, prep.data, nil, true, told)
	if err != nil {
		return nil, err
	}
	program, err := image.Encode()
	if err != nil {
		return nil, err
	}
	prog, err := engine.Load(program)
	if err != nil {
		return nil, err
	}
	limits := engine.Limits{}
	if prep.q.trace != nil {
		limits.Instructions = maxTold
	}
	prep.q.vm = prog.NewVM(limits)
	prep.q.vm.Trace(prep.q.trace)
	prep.q.entry, _ = prog.Entrypoint(prog.Entrypoints()[0])
	return evaluation{prep.q}, nil
}

// NewQuery prepares a query. The error is [Errors] when the query or the policy is
// at fault.
func NewQuery(ctx context.Context, src Source, text string, opt QueryOptions) (q *Query, err error) {
	defer func() {
		if r := recover(); r != nil { // as in plan
			q, err = nil, fmt.Errorf("the query can't be planned: %v", r)
		}
	}()
	r, err := newRego(src, text, opt, rego.Target("keyward-engine"))
	if err != nil {
		return nil, err
	}
	data, err := baseDocument(src.Data)
	if err != nil {
		return nil, err
	}
	q = &Query{trace: opt.trace}
	if q.prepared, err = r.PrepareForEval(context.WithValue(ctx, targetKey{}, preparing{data, q})); err != nil {
		return nil, asErrors(err)
	}
	q.vm.Strict(opt.Strict)
	return q, nil
}

func newRego(src Source, text string, opt QueryOptions, more ...func(*rego.Rego)) (*rego.Rego, error) {
	if err := bounded(src); err != nil {
		return nil, err
	}
	modules, err := parse(src.Modules)
	if err != nil {
		return nil, err
	}
	c, err := check(modules, src.Data, Options{Wide: true})
	if err != nil {
		return nil, err
	}
	body, err := ast.ParseBodyWithOpts(text, ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: Capabilities(true)})
	if err != nil {
		return nil, asErrors(err)
	}
	pkg := ast.Ref{ast.DefaultRootDocument}
	if opt.Package != "" {
		if pkg, err = ast.ParseRef("data." + opt.Package); err != nil {
			return nil, fmt.Errorf("package %q: %w", opt.Package, err)
		}
	}
	reorder(body, pkg, nil, functionsOf(modules))
	data := src.Data
	if data == nil {
		data = map[string]any{}
	}
	opts := append([]func(*rego.Rego){
		rego.ParsedQuery(body), rego.Compiler(c), rego.Store(inmem.NewFromObject(data)), rego.SetRegoVersion(ast.RegoV1),
		rego.StrictBuiltinErrors(opt.Strict), rego.Imports(opt.Imports),
	}, more...)
	if opt.Package != "" {
		opts = append(opts, rego.Package(opt.Package))
	}
	return rego.New(opts...), nil
}

// asking is what Eval gets with its context.
type asking struct {
	input engine.Value
	now   int64
}

// Eval returns the answers for an input, which may be undefined, at a time in
// nanoseconds since 1970. The error is an [*engine.Error].
func (q *Query) Eval(ctx context.Context, input engine.Value, now int64) ([]Answer, error) {
	rs, err := q.prepared.Eval(context.WithValue(ctx, targetKey{}, asking{input, now}))
	if err != nil {
		return nil, err
	}
	return answersOf(rs)
}

// An evaluation is how package rego has the engine evaluate a query.
type evaluation struct{ q *Query }

func (e evaluation) Eval(ctx context.Context, _ *rego.EvalContext, _ ast.Value) (ast.Value, error) {
	q := e.q
	ask := ctx.Value(targetKey{}).(asking)
	q.vm.Begin(ask.input, ask.now)
	defer context.AfterFunc(ctx, q.vm.Cancel)()
	v, err := q.vm.Eval(q.entry)
	if err != nil {
		return nil, err
	}
	// Package rego takes a set, so a variable that it does not show keeps answers
	// apart, and in their order.
	set := ast.NewSet()
	for i, bindings := range v.All() {
		o := regoValue(bindings).(ast.Object)
		o.Insert(ast.StringTerm(ast.WildcardPrefix+"!"), ast.NewTerm(regoValue(i)))
		set.Add(ast.NewTerm(o))
	}
	return set, nil
}

func answersOf(rs rego.ResultSet) ([]Answer, error) {
	list := make([]Answer, len(rs))
	for i, r := range rs {
		for _, e := range r.Expressions {
			value, err := json.Marshal(e.Value)
			if err != nil {
				return nil, err
			}
			x := Expression{Value: value, Text: e.Text}
			if e.Location != nil {
				x.Location = Position(*e.Location)
			}
			list[i].Expressions = append(list[i].Expressions, x)
		}
		for name, v := range r.Bindings {
			value, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			if list[i].Bindings == nil {
				list[i].Bindings = map[string]json.RawMessage{}
			}
			list[i].Bindings[name] = value
		}
	}
	return list, nil
}

// ExplainQuery returns what OPA itself answers, and how, as much as [Explanations]
// says: also when that ended in an error of the policy.
func ExplainQuery(ctx context.Context, src Source, text string, opt QueryOptions, input []byte, now int64, how string) ([]Answer, Explanation, error) {
	if err := knownExplanation(how); err != nil {
		return nil, nil, err
	}
	v, err := inputValue(input)
	if err != nil {
		return nil, nil, err
	}
	r, err := newRego(src, text, opt)
	if err != nil {
		return nil, nil, err
	}
	q, err := r.PrepareForEval(ctx)
	if err != nil {
		return nil, nil, asErrors(err)
	}
	trace := topdown.NewBufferTracer()
	opts := []rego.EvalOption{rego.EvalQueryTracer(trace), rego.EvalTime(time.Unix(0, now))}
	if v != nil {
		opts = append(opts, rego.EvalParsedInput(v))
	}
	rs, evalErr := q.Eval(ctx, opts...)
	answers, err := answersOf(rs)
	if err != nil {
		return nil, nil, err
	}
	return answers, explanationOf(*trace, how), evalErr
}

// Agree reports whether OPA ended as the engine did: with the same answers, in any
// order, or the same kind of error.
func Agree(ours []Answer, err error, theirs []Answer, theirErr error) bool {
	var stopped *topdown.Error
	var failed *engine.Error
	switch {
	case errors.As(theirErr, &stopped):
		return errors.As(err, &failed) && string(failed.Code) == stopped.Code
	case theirErr != nil || err != nil:
		return false
	}
	return maps.Equal(setOf(ours), setOf(theirs))
}

func setOf(answers []Answer) map[string]bool {
	set := map[string]bool{}
	for _, a := range answers {
		b, _ := json.Marshal(a) // it was made of JSON
		set[string(b)] = true
	}
	return set
}

func explanationOf(trace []*topdown.Event, how string) Explanation {
	filter := map[string]func([]*topdown.Event) []*topdown.Event{
		"full": lineage.Full, "debug": lineage.Debug, "fails": lineage.Fails, "notes": lineage.Notes,
	}[how]
	return append(Explanation{}, filter(trace)...)
}
