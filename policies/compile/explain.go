package compile

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"

	"keyward/policies/engine"
)

// Explanations are how much of an evaluation [ExplainQuery] tells: all of it,
// all with the steps of unification, what failed, or the notes of trace() alone.
var Explanations = []string{"full", "debug", "fails", "notes"}

// Topdown is a policy as OPA itself evaluates it, to hold the engine against. It is used by one goroutine at a time.
type Topdown struct {
	compiler *ast.Compiler
	query    ast.Body
	store    storage.Store
	strict   bool
}

// NewTopdown prepares a rule, such as "keyward/allow". The error is [Errors]
// when the policy is at fault.
func NewTopdown(src Source, rule string, strict bool) (*Topdown, error) {
	modules, err := parse(src.Modules)
	if err != nil {
		return nil, err
	}
	c, err := check(modules, src.Data, Options{Wide: true})
	if err != nil {
		return nil, err
	}
	ref, err := entrypointRef(rule)
	if err != nil {
		return nil, err
	}
	query, err := c.QueryCompiler().Compile(ast.NewBody(ast.Equality.Expr(ast.NewTerm(ref), ast.VarTerm("x"))))
	if err != nil {
		return nil, asErrors(err)
	}
	data := src.Data
	if data == nil {
		data = map[string]any{}
	}
	return &Topdown{compiler: c, query: query, store: inmem.NewFromObject(data), strict: strict}, nil
}

// Eval returns the value of the rule for an input as JSON, nil for none, at a
// time in nanoseconds since 1970. The value is as Rego writes it, "" when it is
// undefined.
func (t *Topdown) Eval(ctx context.Context, input []byte, now int64) (string, error) {
	v, err := inputValue(input)
	if err != nil {
		return "", err
	}
	return t.eval(ctx, v, now)
}

// Prepare returns a function that evaluates the rule for one input, read
// beforehand.
func (t *Topdown) Prepare(input []byte) (func(context.Context) error, error) {
	v, err := inputValue(input)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := t.eval(ctx, v, 0)
		return err
	}, nil
}

func inputValue(input []byte) (ast.Value, error) {
	if input == nil {
		return nil, nil
	}
	var x any
	if err := util.UnmarshalJSON(input, &x); err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	v, err := ast.InterfaceToValue(x)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	return v, nil
}

func knownExplanation(how string) error {
	if !slices.Contains(Explanations, how) {
		return fmt.Errorf("explanation %q is not %s", how, strings.Join(Explanations, ", "))
	}
	return nil
}

func (t *Topdown) eval(ctx context.Context, input ast.Value, now int64) (string, error) {
	txn, err := t.store.NewTransaction(ctx)
	if err != nil {
		return "", err
	}
	defer t.store.Abort(ctx, txn)
	stop := topdown.NewCancel()
	defer context.AfterFunc(ctx, stop.Cancel)()
	q := topdown.NewQuery(t.query).WithCompiler(t.compiler).WithStore(t.store).WithTransaction(txn).
		WithTime(time.Unix(0, now)).WithStrictBuiltinErrors(t.strict).WithCancel(stop)
	if input != nil {
		q = q.WithInput(ast.NewTerm(input))
	}
	rs, err := q.Run(ctx)
	if err != nil || len(rs) == 0 {
		return "", err
	}
	return rs[0]["x"].String(), nil
}

// An Explanation is what OPA did, step by step.
type Explanation []*topdown.Event

// WriteTo writes the steps with their places, as `opa eval --explain` does.
func (x Explanation) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	topdown.PrettyTraceWithLocation(&b, x)
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// MarshalJSON writes the steps as a list of objects.
func (x Explanation) MarshalJSON() ([]byte, error) {
	type step struct {
		Op       topdown.Op `json:"op"`
		Query    uint64     `json:"query_id"`
		Parent   uint64     `json:"parent_id"`
		Node     string     `json:"node,omitempty"`
		Message  string     `json:"message,omitempty"`
		Location string     `json:"location,omitempty"`
	}
	steps := make([]step, len(x))
	for i, e := range x {
		steps[i] = step{Op: e.Op, Query: e.QueryID, Parent: e.ParentID, Message: e.Message}
		if n, ok := e.Node.(fmt.Stringer); ok {
			steps[i].Node = n.String()
		}
		if e.Location != nil && e.Location.Row > 0 {
			steps[i].Location = engine.Location{File: e.Location.File, Row: e.Location.Row}.String()
		}
	}
	return json.Marshal(steps)
}

// regoValue returns v as OPA has it.
func regoValue(v engine.Value) ast.Value {
	switch v.Kind() {
	case engine.KindBool:
		b, _ := v.Bool()
		return ast.Boolean(b)
	case engine.KindNumber:
		return ast.Number(json.Number(v.Text()))
	case engine.KindString:
		s, _ := v.Str()
		return ast.String(s)
	case engine.KindArray:
		a := ast.NewArray()
		for e := range v.Elems() {
			a = a.Append(ast.NewTerm(regoValue(e)))
		}
		return a
	case engine.KindSet:
		s := ast.NewSet()
		for e := range v.Elems() {
			s.Add(ast.NewTerm(regoValue(e)))
		}
		return s
	case engine.KindObject:
		o := ast.NewObject()
		for k, e := range v.All() {
			o.Insert(ast.NewTerm(regoValue(k)), ast.NewTerm(regoValue(e)))
		}
		return o
	}
	return ast.NullValue
}
