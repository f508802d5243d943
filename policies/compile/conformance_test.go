package compile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// A caseProgram is one of OPA's test cases, ready to run.
type caseProgram struct {
	program []byte
	input   engine.Value
}

// prepare compiles a test case.
func prepare(t *testing.T, tc cases.TestCase) (c caseProgram, err error) {
	p, err := planOf(t, tc.Query, tc.Modules)
	if err != nil || p == nil {
		return c, fmt.Errorf("%w: %v", errNotPlanned, err)
	}
	data := any(map[string]any{})
	if tc.Data != nil {
		data = *tc.Data
	}
	image, err := lower(p, valueOf(t, ast.MustInterfaceToValue(data)), nil, true, nil)
	if err != nil {
		return c, err
	}
	if c.program, err = image.Encode(); err != nil {
		return c, err
	}
	if tc.InputTerm != nil {
		c.input = valueOf(t, termOf(t, *tc.InputTerm))
	} else if tc.Input != nil {
		c.input = valueOf(t, ast.MustInterfaceToValue(*tc.Input))
	}
	return c, nil
}

// eval runs c on this machine.
func (c caseProgram) eval(strict bool, now int64) (engine.Value, error) {
	prog, err := engine.Load(c.program)
	if err != nil {
		return engine.Value{}, err
	}
	vm := prog.NewVM(engine.Limits{Instructions: 50_000_000, Memory: 1 << 28})
	vm.Strict(strict)
	vm.Begin(c.input, now)
	e, ok := prog.Entrypoint(prog.Entrypoints()[0])
	if !ok {
		return engine.Value{}, errors.New("no entrypoint")
	}
	return vm.Eval(e)
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
	"data/nested integer":   "a number does not name a member of the base document; OPA turns it into text there, and only there",
	"data/toplevel integer": "the same",
}

// absent says why a builtin is not in.
var absent = []struct{ prefix, reason string }{
	{"crypto.", "X.509 certificates and private keys as OPA shows them are Go's own types written by encoding/json, which no plugin may link"},
	{"graphql.", "needs a GraphQL parser"},
	{"http.send", "a policy can't reach the network"},
	{"io.jwt.encode_sign", "signs: some signatures are random, and a policy holds no key"},
	{"net.lookup_ip_addr", "a policy can't reach the network"},
	{"opa.runtime", "speaks of OPA"},
	{"providers.aws.sign_req", "signs requests of OPA's own"},
	{"rand.intn", "random"},
	{"rego.parse_module", "needs OPA's parser"},
	{"strings.render_template", "what a template costs can't be bounded"},
	{"uuid.rfc4122", "random"},
}

// A tally counts test cases.
type tally struct {
	Cases        int `json:"cases"`
	Applicable   int `json:"applicable"`
	PassedNative int `json:"passed_native"`
	PassedWasm   int `json:"passed_wasm"`

	unplanned []string
	missing   map[string]int // by builtin
	differing []string
}

// TestConformance runs OPA's own test cases, natively and in WebAssembly, and
// writes docs/conformance.md. Those whose builtins the engine does not have are
// not counted.
func TestConformance(t *testing.T) {
	set := cases.MustLoad(caseDir(t)).Sorted()
	wasm := newWasmEngine(t)
	n := tally{Cases: len(set.Cases), missing: map[string]int{}}
	now := time.Now().UnixNano()
	for _, tc := range set.Cases {
		c, err := prepare(t, tc)
		if name, ok := missingBuiltin(err); ok {
			n.missing[name]++
			continue
		}
		if errors.Is(err, errNotPlanned) {
			n.unplanned = append(n.unplanned, tc.Note)
			continue
		}
		n.Applicable++
		if err != nil {
			t.Errorf("%s: %v", tc.Note, err)
			continue
		}
		got, err := c.eval(tc.StrictError, now)
		native := checkCase(t, tc, got, err)
		got, err = wasm.eval(c.program, c.input, tc.StrictError, now)
		inWasm := checkCase(t, tc, got, err)
		if native == nil {
			n.PassedNative++
		}
		if inWasm == nil {
			n.PassedWasm++
		}
		if native == nil && inWasm == nil {
			continue
		}
		n.differing = append(n.differing, tc.Note)
		if unlike[tc.Note] == "" {
			t.Errorf("%s: %.400v; in wasm: %.400v", tc.Note, native, inWasm)
		}
	}
	n.write(t)
	if 100*n.PassedNative < 99*n.Applicable || 100*n.PassedWasm < 99*n.Applicable {
		t.Errorf("%+v: fewer than 99 %%", n)
	}
}

var missingText = regexp.MustCompile(`builtin "([^"]+)" is not available`)

func missingBuiltin(err error) (string, bool) {
	if err == nil {
		return "", false
	}
	m := missingText.FindStringSubmatch(err.Error())
	if m == nil {
		return "", false
	}
	return m[1], true
}

// write writes docs/conformance.md, which is kept, and the numbers for dist.
func (n *tally) write(t *testing.T) {
	t.Helper()
	root := filepath.Join("..", "..")
	numbers, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", numbers)
	if err := os.MkdirAll(filepath.Join(root, "dist"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "dist", "conformance-rego.json"), append(numbers, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	text := n.document(t)
	file := filepath.Join(root, "docs", "conformance.md")
	if old, err := os.ReadFile(file); err == nil && string(old) == text {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Errorf("docs/conformance.md is not what this test writes: run it and commit")
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (n *tally) document(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `# Conformance

policies/engine means what OPA means. This is how that is known: OPA's own test cases, of the version in go.mod, run through policies/compile and the engine, natively and compiled to WebAssembly on wazero, with every builtin in. `+"`go test ./policies/compile -run Conformance`"+` runs them and writes this file.

| | |
|---|---|
| cases of OPA | %d |
| applicable: OPA plans them, and their builtins are in | %d |
| passed natively | %d |
| passed in WebAssembly | %d |

## Applicable and different

| case | reason |
|---|---|
`, n.Cases, n.Applicable, n.PassedNative, n.PassedWasm)
	for _, note := range n.differing {
		fmt.Fprintf(&b, "| %s | %s |\n", note, unlike[note])
	}
	b.WriteString("\n## Not applicable\n\nA policy that uses one of these builtins is refused when it is compiled.\n\n| builtin | cases | reason |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(n.missing)) {
		i := slices.IndexFunc(absent, func(a struct{ prefix, reason string }) bool { return strings.HasPrefix(name, a.prefix) })
		if i < 0 {
			t.Errorf("%s is not in, and nothing says why", name)
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", name, n.missing[name], absent[i].reason)
	}
	fmt.Fprintf(&b, "\nOPA itself does not plan: %s.\n", strings.Join(n.unplanned, ", "))
	return b.String()
}
