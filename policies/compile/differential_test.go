package compile

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/util"

	"keyward/policies/engine"
)

// decisionTime is that of every evaluation, in nanoseconds since 1970.
const decisionTime = 1_700_000_000_123_456_789

// An outcome is what an evaluation ends with: an error code, a value as Rego
// writes it, or neither when it is undefined.
type outcome struct{ code, value string }

func (o outcome) String() string {
	switch {
	case o.code != "":
		return "error " + o.code
	case o.value != "":
		return o.value
	}
	return "undefined"
}

// outcomeOf returns what the engine ended with; bounded says that a limit did.
func outcomeOf(v engine.Value, err error) (out outcome, bounded bool) {
	var e *engine.Error
	switch {
	case errors.As(err, &e):
		return outcome{code: string(e.Code)}, strings.HasSuffix(string(e.Code), "_limit")
	case err != nil:
		return outcome{code: err.Error()}, false
	case v.IsUndefined():
		return out, false
	}
	return outcome{value: regoValue(v).String()}, false
}

// A campaign compares the engine with OPA on what a generator makes.
type campaign struct {
	t           *testing.T
	Pairs       int `json:"pairs"`
	Differences int `json:"differences"`

	refused, policies, bounded, crashed, values, errors, stepped, twofold int
	statements                                                            map[string]int // of plans, by type
	called, defined                                                       map[string]int // builtins, by name
	queue                                                                 []*ast.Builtin
	seen                                                                  map[string]int // differences by what they are about
}

const (
	generalRules  = 5
	builtinRules  = 5
	inputsOfAGame = 25
)

// TestDifferential evaluates generated policies with the engine and with OPA;
// both must end the same. PAIRS sets how many evaluations are compared, SEED
// where to begin. It writes dist/fuzz-rego.json.
func TestDifferential(t *testing.T) {
	pairs, _ := strconv.Atoi(cmp.Or(os.Getenv("PAIRS"), "4000"))
	seed, _ := strconv.ParseUint(cmp.Or(os.Getenv("SEED"), "1"), 10, 64)
	c := &campaign{t: t, statements: map[string]int{}, called: map[string]int{}, defined: map[string]int{}, seen: map[string]int{}}
	for shown := 0; c.Pairs < pairs; seed++ {
		c.play(seed)
		if c.Pairs-shown >= progressPairs {
			shown = c.Pairs
			t.Logf("%d pairs, %d differences so far", c.Pairs, c.Differences)
		}
	}
	c.report(pairs)
}

// progressPairs is after how many evaluations a long comparison says so.
const progressPairs = 50_000

// next returns the builtins whose turn it is.
func (c *campaign) next(n int) []*ast.Builtin {
	for len(c.queue) < n {
		for _, b := range Capabilities(true).Builtins {
			if _, ok := engine.Builtins()[b.Name]; ok && !strings.HasPrefix(b.Name, "internal.") && !b.IsDeprecated() {
				c.queue = append(c.queue, b)
			}
		}
	}
	head := c.queue[:n]
	c.queue = c.queue[n:]
	return head
}

// play compares one policy on many inputs.
func (c *campaign) play(seed uint64) {
	g := newGenerator(seed)
	turn := c.next(builtinRules)
	var src Source
	var rules []string
	var result *Result
	for try := 0; result == nil; try++ {
		if try == 50 {
			c.refused++
			return
		}
		data := map[string]any{}
		if util.UnmarshalJSON([]byte(`{"d":`+g.document()+`}`), &data) != nil {
			continue
		}
		src.Data = data
		src.Modules, rules = g.policy(generalRules, turn)
		for i := range rules {
			rules[i] = "t/" + rules[i]
		}
		var err error
		if result, err = Compile(src, Options{Entrypoints: rules, Wide: true}); err != nil {
			c.refused++
			if os.Getenv("FUZZ_VERBOSE") != "" {
				c.t.Logf("refused: %.200v", err)
			}
		}
	}
	c.policies++
	p, err := plan(src, result.Entrypoints, true)
	if err != nil {
		c.t.Fatal(err)
	}
	for name, n := range statementsOf(p) {
		c.statements[name] += n
	}
	judges := make([]*oracle, 0, 2)
	for _, opt := range []oracleOptions{{}, {plain: true}} {
		o, err := newOracle(src, opt)
		if err != nil {
			c.t.Fatal(err)
		}
		judges = append(judges, o)
	}
	prog, err := engine.Load(result.Program)
	if err != nil {
		c.t.Fatal(err)
	}
	vm := prog.NewVM(engine.Limits{})
	strict := g.in(6)
	vm.Strict(strict)
	for range inputsOfAGame {
		c.compare(g.document(), judges, prog, vm, result.Entrypoints, src, strict, turn)
	}
}

func (c *campaign) compare(text string, judges []*oracle, prog *engine.Program, vm *engine.VM, rules []string, src Source, strict bool, turn []*ast.Builtin) {
	var x any
	input, err := engine.ParseJSON([]byte(text), engine.JSONLimits{})
	if err != nil || util.UnmarshalJSON([]byte(text), &x) != nil {
		return
	}
	term := ast.MustInterfaceToValue(x)
	for _, rule := range rules {
		want, err := judges[0].eval(rule, term, strict)
		if err != nil {
			c.crashed++
			continue
		}
		e, _ := prog.Entrypoint(rule)
		vm.Begin(input, decisionTime)
		got, bounded := outcomeOf(vm.Eval(e))
		if bounded {
			c.bounded++
			continue
		}
		c.Pairs++
		about := "a rule"
		if i, ok := strings.CutPrefix(rule, "t/b"); ok {
			n, _ := strconv.Atoi(i)
			about = turn[n-1].Name
			c.called[about]++
			if want.value != "" {
				c.defined[about]++
			}
		}
		switch {
		case want.code != "":
			c.errors++
		case want.value != "":
			c.values++
		}
		if got != want { // OPA may contradict itself: see TestWhereOPAContradictsItself
			if judges[1].says(got, rule, term, strict) {
				c.stepped++
				continue
			}
			// The checker of types does not let every policy be written so.
			if o, err := newOracle(src, oracleOptions{plain: true, united: true}); err == nil && o.says(got, rule, term, strict) {
				c.stepped++
				continue
			}
			if strict && c.twoErrors(judges[1], rule, term, input, vm, e, got, want) {
				c.twofold++
				continue
			}
			c.differs(about, rule, text, src, strict, got, want)
		}
	}
}

// twoErrors reports whether a rule fails in two ways, by a builtin and by a
// conflict: which one a strict evaluation tells depends on which rule is looked at
// first, and OPA does not look at them in the order of its plan. Both must have
// the conflict when not strict, and the other error must be one of a builtin.
func (c *campaign) twoErrors(o *oracle, rule string, term ast.Value, input engine.Value, vm *engine.VM, e engine.Entrypoint, got, want outcome) bool {
	const conflict = string(engine.ErrConflict)
	if got.code == "" || want.code == "" || (got.code == conflict) == (want.code == conflict) {
		return false
	}
	vm.Strict(false)
	defer vm.Strict(true)
	vm.Begin(input, decisionTime)
	ours, _ := outcomeOf(vm.Eval(e))
	theirs, err := o.eval(rule, term, false)
	return err == nil && ours.code == conflict && theirs.code == conflict
}

// maxShown is how many differences of a kind are shown.
const maxShown = 2

func (c *campaign) differs(about, rule, input string, src Source, strict bool, got, want outcome) {
	c.Differences++
	c.seen[about]++
	if c.seen[about] > maxShown {
		return
	}
	data, _ := json.Marshal(src.Data)
	c.t.Errorf("%s %s, strict %v: got %.600v, want %.600v\ninput %s\ndata %s\n%s", about, rule, strict, got, want, input, data, src.Modules["t.rego"])
}

// statements are all that OPA plans.
var statements = []ir.Stmt{
	&ir.ReturnLocalStmt{}, &ir.CallStmt{}, &ir.CallDynamicStmt{}, &ir.BlockStmt{}, &ir.BreakStmt{}, &ir.DotStmt{}, &ir.LenStmt{},
	&ir.ScanStmt{}, &ir.NotStmt{}, &ir.AssignIntStmt{}, &ir.AssignVarStmt{}, &ir.AssignVarOnceStmt{}, &ir.ResetLocalStmt{},
	&ir.MakeNullStmt{}, &ir.MakeNumberIntStmt{}, &ir.MakeNumberRefStmt{}, &ir.MakeArrayStmt{}, &ir.MakeObjectStmt{}, &ir.MakeSetStmt{},
	&ir.EqualStmt{}, &ir.NotEqualStmt{}, &ir.IsArrayStmt{}, &ir.IsObjectStmt{}, &ir.IsSetStmt{}, &ir.IsDefinedStmt{}, &ir.IsUndefinedStmt{},
	&ir.ArrayAppendStmt{}, &ir.ObjectInsertStmt{}, &ir.ObjectInsertOnceStmt{}, &ir.ObjectMergeStmt{}, &ir.SetAddStmt{}, &ir.WithStmt{},
	&ir.ResultSetAddStmt{},
}

// enoughForAll is how many evaluations certainly have every statement and builtin.
const enoughForAll = 50_000

// statementsOf counts the statements of a plan by their type.
func statementsOf(p *ir.Policy) map[string]int {
	counts := map[string]int{}
	_ = ir.Walk(counter(counts), p)
	return counts
}

type counter map[string]int

func (counter) Before(any) {}
func (counter) After(any)  {}

func (c counter) Visit(x any) (ir.Visitor, error) {
	if name := strings.TrimPrefix(reflect.TypeOf(x).String(), "*ir."); strings.HasSuffix(name, "Stmt") {
		c[name]++
	}
	return c, nil
}

// report logs what was covered and writes the numbers for dist.
func (c *campaign) report(pairs int) {
	var never, missing []string
	for _, b := range Capabilities(true).Builtins {
		if _, ok := engine.Builtins()[b.Name]; !ok || b.IsDeprecated() || strings.HasPrefix(b.Name, "internal.") {
			continue
		}
		if c.called[b.Name] == 0 {
			missing = append(missing, b.Name)
		}
		if c.defined[b.Name] == 0 {
			never = append(never, b.Name)
		}
	}
	c.t.Logf("%d pairs, %d differences; %d gave a value and %d an error; %d policies, %d refused; %d over a limit, %d where OPA itself fails, %d where OPA contradicts itself, %d that fail in two ways", c.Pairs, c.Differences, c.values, c.errors, c.policies, c.refused, c.bounded, c.crashed, c.stepped, c.twofold)
	for _, name := range slices.Sorted(maps.Keys(c.statements)) {
		c.t.Logf("%7d %s", c.statements[name], name)
	}
	for _, s := range statements {
		if name := strings.TrimPrefix(reflect.TypeOf(s).String(), "*ir."); c.statements[name] == 0 {
			missing = append(missing, name)
		}
	}
	c.t.Logf("%d builtins called, %d gave a value, never: %v", len(c.called), len(c.defined), never)
	if len(c.seen) > 0 {
		c.t.Logf("differences: %v", c.seen)
	}
	b, err := json.Marshal(c)
	if err != nil {
		c.t.Fatal(err)
	}
	dist := filepath.Join("..", "..", "dist")
	if err := errors.Join(os.MkdirAll(dist, 0o755), os.WriteFile(filepath.Join(dist, "fuzz-rego.json"), append(b, '\n'), 0o644)); err != nil {
		c.t.Fatal(err)
	}
	if pairs >= enoughForAll && len(missing) > 0 {
		c.t.Errorf("the generator never made %v", missing)
	}
	if c.Pairs < pairs {
		c.t.Errorf("%d pairs of %d", c.Pairs, pairs)
	}
}
