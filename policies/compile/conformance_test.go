package compile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/util"

	"keyward/policies/engine"
)

// planner is a target of package rego that evaluates nothing: it hands out the
// plan of a query.
type planner struct{}

type planKey struct{}

func (planner) IsTarget(t string) bool { return t == "keyward" }

func (planner) PrepareForEval(ctx context.Context, p *ir.Policy, _ ...rego.PrepareOption) (rego.TargetPluginEval, error) {
	*ctx.Value(planKey{}).(**ir.Policy) = p
	return nil, nil
}

func init() { rego.RegisterPlugin("keyward", planner{}) }

// planOf returns the plan of a query over modules.
func planOf(t *testing.T, query string, modules []string) (p *ir.Policy, err error) {
	t.Helper()
	defer func() { // the planner panics on some policies that it can't plan
		if r := recover(); r != nil {
			err = fmt.Errorf("planner: %v", r)
		}
	}()
	opts := []func(*rego.Rego){rego.Query(query), rego.Target("keyward"), rego.Store(inmem.New()), rego.SetRegoVersion(ast.RegoV1)}
	for i, m := range modules {
		opts = append(opts, rego.Module(fmt.Sprintf("test-%d.rego", i), m))
	}
	_, err = rego.New(opts...).PrepareForEval(context.WithValue(t.Context(), planKey{}, &p))
	return p, err
}

// caseDir returns where OPA keeps its test cases.
func caseDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "v1/test/cases/testdata/v1")
}

// errNotPlanned reports a case that OPA's own planner does not take.
var errNotPlanned = errors.New("not planned")

// runCase compiles and runs one of OPA's test cases.
func runCase(t *testing.T, tc cases.TestCase) error {
	p, err := planOf(t, tc.Query, tc.Modules)
	if err != nil || p == nil {
		return fmt.Errorf("%w: %v", errNotPlanned, err)
	}
	data := any(map[string]any{})
	if tc.Data != nil {
		data = *tc.Data
	}
	image, err := lower(p, valueOf(t, ast.MustInterfaceToValue(data)), true)
	if err != nil {
		return err
	}
	b, err := image.Encode()
	if err != nil {
		return err
	}
	prog, err := engine.Load(b)
	if err != nil {
		return err
	}
	var input engine.Value
	if tc.InputTerm != nil {
		input = valueOf(t, termOf(t, *tc.InputTerm))
	} else if tc.Input != nil {
		input = valueOf(t, ast.MustInterfaceToValue(*tc.Input))
	}
	vm := prog.NewVM(engine.Limits{Instructions: 50_000_000, Memory: 1 << 30})
	vm.Strict(tc.StrictError)
	vm.Begin(input, time.Now().UnixNano())
	e, ok := prog.Entrypoint(prog.Entrypoints()[0])
	if !ok {
		return errors.New("no entrypoint")
	}
	got, err := vm.Eval(e)
	return checkCase(t, tc, got, err)
}

func checkCase(t *testing.T, tc cases.TestCase, got engine.Value, err error) error {
	if tc.WantError != nil || tc.WantErrorCode != nil {
		var e *engine.Error
		if !errors.As(err, &e) {
			return fmt.Errorf("got %v, want an error", got)
		}
		if tc.WantErrorCode != nil && string(e.Code) != *tc.WantErrorCode {
			return fmt.Errorf("got %v, want code %s", err, *tc.WantErrorCode)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if tc.WantResult == nil {
		return nil
	}
	want := ast.NewSet()
	for _, b := range *tc.WantResult {
		want.Add(ast.NewTerm(ast.MustInterfaceToValue(b)))
	}
	have := ast.NewSet()
	for b := range got.Elems() {
		o := map[string]any{}
		for name, v := range b.Members() {
			if strings.HasPrefix(name, "^") || tc.IgnoreGeneratedVars && strings.HasPrefix(name, "__localq") {
				continue
			}
			var x any
			if err := util.UnmarshalJSON(v.AppendJSON(nil), &x); err != nil {
				return err
			}
			if tc.SortBindings {
				slices.SortFunc(x.([]any), util.Compare)
			}
			o[name] = x
		}
		have.Add(ast.NewTerm(ast.MustInterfaceToValue(o)))
	}
	if want.Compare(have) != 0 {
		return fmt.Errorf("got %v, want %v", have, want)
	}
	return nil
}

func termOf(t *testing.T, text string) ast.Value {
	t.Helper()
	term, err := ast.ParseTerm(text)
	if err != nil {
		t.Fatal(err)
	}
	return term.Value
}

// valueOf converts a ground value of OPA, sets and all.
func valueOf(t *testing.T, v ast.Value) engine.Value {
	t.Helper()
	switch v := v.(type) {
	case ast.Null:
		return engine.Null
	case ast.Boolean:
		return engine.Bool(bool(v))
	case ast.Number:
		n, err := engine.Number(string(v))
		if err != nil {
			t.Fatalf("number %q: %v", v, err)
		}
		return n
	case ast.String:
		return engine.String(string(v))
	case *ast.Array:
		var elems []engine.Value
		v.Foreach(func(x *ast.Term) { elems = append(elems, valueOf(t, x.Value)) })
		return engine.Array(elems)
	case ast.Set:
		var elems []engine.Value
		v.Foreach(func(x *ast.Term) { elems = append(elems, valueOf(t, x.Value)) })
		return engine.Set(elems)
	case ast.Object:
		var members []engine.Member
		v.Foreach(func(k, x *ast.Term) {
			members = append(members, engine.Member{Key: valueOf(t, k.Value), Value: valueOf(t, x.Value)})
		})
		return engine.Object(members)
	}
	t.Fatalf("%T is not ground", v)
	return engine.Value{}
}

// unlike lists the cases that end otherwise than in OPA, with the reason.
var unlike = map[string]string{
	"data/nested integer":           "a number that names a member of base data is not turned into a string",
	"data/toplevel integer":         "a number that names a member of base data is not turned into a string",
	"numbersrangestep/big int step": "steps beyond 64 bits",
}

// TestConformance runs OPA's own test cases. Those whose builtins the engine
// does not have are not counted.
func TestConformance(t *testing.T) {
	set := cases.MustLoad(caseDir(t)).Sorted()
	missing := map[string]int{}
	unplanned, passed, failed := 0, 0, 0
	verbose := os.Getenv("CONFORMANCE") != ""
	for _, tc := range set.Cases {
		err := runCase(t, tc)
		switch {
		case err == nil:
			passed++
		case errors.Is(err, errNotPlanned):
			unplanned++
			if verbose {
				t.Logf("unplanned %s: %v", tc.Note, err)
			}
		case strings.Contains(err.Error(), "is not available"):
			missing[err.Error()[strings.Index(err.Error(), "builtin"):]]++
		case unlike[tc.Note] != "":
			failed++
		default:
			failed++
			t.Errorf("%s: %.400v", tc.Note, err)
		}
	}
	names := make([]string, 0, len(missing))
	absent := 0
	for name, n := range missing {
		names = append(names, name)
		absent += n
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(-cmp.Compare(missing[a], missing[b]), cmp.Compare(a, b)) })
	if verbose {
		for _, n := range names {
			t.Logf("missing %s: %d", n, missing[n])
		}
	}
	report, _ := json.Marshal(map[string]int{"cases": len(set.Cases), "applicable": passed + failed, "passed_native": passed})
	t.Logf("%s; %d with a builtin that is not in, %d that OPA does not plan", report, absent, unplanned)
}
