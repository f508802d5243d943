package compile

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"keyward/policies/engine"
)

// shipped are the Rego files that Keyward ships, tests among them, by path.
func shipped(t *testing.T) map[string]string {
	t.Helper()
	const root = "../.."
	names := []string{filepath.Join(root, "policy.rego"), filepath.Join(root, "policy_test.rego")}
	err := filepath.WalkDir(filepath.Join(root, "policies/library"), func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".rego") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimPrefix(filepath.ToSlash(name), root+"/")] = string(b)
	}
	return texts
}

// TestShippedPolicies runs the Rego tests as `opa test` does.
func TestShippedPolicies(t *testing.T) {
	modules := map[string]*ast.Module{}
	for name, text := range shipped(t) {
		m, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		modules[name] = m
	}
	store := inmem.New()
	txn, err := store.NewTransaction(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(t.Context(), txn)
	results, err := tester.NewRunner().SetStore(store).SetModules(modules).RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for r := range results {
		ran++
		t.Run(r.Location.File+"/"+r.Name, func(t *testing.T) {
			if !r.Pass() {
				t.Errorf("%s: %v: %v", r.Location, r, r.Error)
			}
		})
	}
	if ran < 100 {
		t.Errorf("%d tests ran: some were not found", ran)
	}
}

var regoBlock = regexp.MustCompile("(?s)```rego\n(.*?)```")

// TestExamplesInDocuments compiles the Rego of the documents as a part of the
// default policy.
func TestExamplesInDocuments(t *testing.T) {
	found := 0
	for _, name := range []string{"README.md", "docs/policies.md"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regoBlock.FindAllSubmatch(text, -1) {
			found++
			modules := shipped(t)
			maps.DeleteFunc(modules, func(file, _ string) bool {
				return strings.HasSuffix(file, "_test.rego") || strings.HasSuffix(file, "/patterns.rego") // which need more than a lean gateway has
			})
			modules[name] = "package keyward\n" + string(block[1])
			if _, err := Compile(Source{Modules: modules}, Options{}); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, block[1])
			}
		}
	}
	if found < 2 {
		t.Errorf("%d examples found: some were not", found)
	}
}

// TestShippedPoliciesOnTheEngine runs the same tests as the gateway would: what
// they say of the policy must hold there too.
func TestShippedPoliciesOnTheEngine(t *testing.T) {
	modules := map[string]string{}
	var entrypoints []string
	for name, text := range shipped(t) {
		modules[strings.Replace(name, "_test.rego", "_rules.rego", 1)] = text // no tests to the compiler
		m, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range m.Rules {
			if test := rule.Head.Name.String(); strings.HasPrefix(test, "test_") {
				pkg := strings.TrimPrefix(m.Package.Path.String(), "data.")
				entrypoints = append(entrypoints, strings.ReplaceAll(pkg, ".", "/")+"/"+test)
			}
		}
	}
	slices.Sort(entrypoints)
	r, err := Compile(Source{Modules: modules}, Options{Entrypoints: entrypoints, Wide: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Load(r.Program)
	if err != nil {
		t.Fatal(err)
	}
	vm := p.NewVM(engine.Limits{})
	for _, name := range entrypoints {
		t.Run(name, func(t *testing.T) {
			e, ok := p.Entrypoint(name)
			if !ok {
				t.Fatal("no entrypoint")
			}
			vm.Begin(engine.Value{}, 0)
			if got, err := vm.Eval(e); err != nil || got.String() != "true" {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
