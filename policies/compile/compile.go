package compile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	opacompile "github.com/open-policy-agent/opa/v1/compile"
	"github.com/open-policy-agent/opa/v1/ir"

	"keyward/policies/engine"
)

// Bounds of what is compiled.
const (
	MaxSourceBytes = 4 << 20  // all modules together
	MaxDataBytes   = 32 << 20 // the base document as JSON
	MaxModules     = 1000
)

// DefaultEntrypoints are the rules that the gateway asks for.
var DefaultEntrypoints = []string{"keyward/allow", "keyward/deny", "keyward/ask", "keyward/log/mask"}

// ErrNoEntrypoint reports a policy that has none of the rules that are asked for.
var ErrNoEntrypoint = errors.New("no rule for any entrypoint")

// A Source is a policy as it is written.
type Source struct {
	Modules map[string]string // file name to Rego text
	Data    map[string]any    // base document, as encoding/json reads it with numbers as json.Number; nil is empty
}

// Options of [Compile]. The zero value compiles [DefaultEntrypoints].
type Options struct {
	Entrypoints []string // rules by path, such as "keyward/allow"; one that is not there is left out
	Wide        bool     // for engines with every builtin; without it only those that lean builds have
	Strict      bool     // refuse what `opa check --strict` does
	Trace       bool     // for [engine.VM.Trace]: larger and slower
	Schema      []byte   // JSON schema of the input, which the types of the policy must fit; nil checks nothing
}

// A Result is a compiled policy.
type Result struct {
	Program     []byte   // for engine.Load
	Version     string   // of the program, as the engine tells it
	Entrypoints []string // those that are there, in the order asked for
}

// Compile compiles a policy. The same policy gives the same program. Tests, in
// files named *_test.rego, are checked and no part of it. The error is [Errors]
// when the policy is at fault.
func Compile(src Source, opt Options) (*Result, error) {
	if err := bounded(src); err != nil {
		return nil, err
	}
	modules, err := parse(src.Modules)
	if err != nil {
		return nil, err
	}
	c, err := checkWithTests(modules, src.Data, opt)
	if err != nil {
		return nil, err
	}
	src.Modules = withoutTests(src.Modules)
	present, err := presentEntrypoints(c, opt.Entrypoints)
	if err != nil {
		return nil, err
	}
	p, err := plan(src, present, opt.Wide)
	if err != nil {
		return nil, asErrors(err)
	}
	data, err := baseDocument(src.Data)
	if err != nil {
		return nil, err
	}
	var told texts
	if opt.Trace {
		told = textsOf(c)
	}
	image, err := lower(p, data, titlesOf(c), false, told)
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
	return &Result{Program: program, Version: prog.Version(), Entrypoints: present}, nil
}

// Check reports what is wrong with a policy, tests and all, without compiling
// it; of opt, the entrypoints don't matter. The error is [Errors] when the policy
// is at fault.
func Check(src Source, opt Options) error {
	if err := bounded(src); err != nil {
		return err
	}
	modules, err := parse(src.Modules)
	if err != nil {
		return err
	}
	_, err = checkWithTests(modules, src.Data, opt)
	return err
}

func bounded(src Source) error {
	if len(src.Modules) > MaxModules {
		return fmt.Errorf("%d modules, more than %d", len(src.Modules), MaxModules)
	}
	n := 0
	for _, text := range src.Modules {
		n += len(text)
	}
	if n > MaxSourceBytes {
		return fmt.Errorf("%d bytes of Rego, more than %d", n, MaxSourceBytes)
	}
	return nil
}

// parse parses all modules, and reports the errors of all of them.
func parse(texts map[string]string) (map[string]*ast.Module, error) {
	opts := ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true, Capabilities: Capabilities(true)}
	modules := make(map[string]*ast.Module, len(texts))
	var errs Errors
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		m, err := ast.ParseModuleWithOpts(name, texts[name], opts)
		switch {
		case err != nil:
			var found Errors
			if !errors.As(asErrors(err), &found) {
				return nil, err
			}
			errs = append(errs, found...)
		case m == nil:
			errs = append(errs, Error{File: name, Code: ast.ParseErr, Message: "empty module"})
		default:
			modules[name] = m
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	mocksLast(modules)
	return modules, nil
}

func presentEntrypoints(c *ast.Compiler, names []string) ([]string, error) {
	if len(names) == 0 {
		names = DefaultEntrypoints
	}
	var present []string
	for _, name := range names {
		ref, err := entrypointRef(name)
		if err != nil {
			return nil, err
		}
		if len(c.GetRules(ref)) > 0 && !slices.Contains(present, name) {
			present = append(present, name)
		}
	}
	if len(present) == 0 {
		return nil, fmt.Errorf("%w of %q", ErrNoEntrypoint, names)
	}
	return present, nil
}

func entrypointRef(name string) (ast.Ref, error) {
	ref := ast.Ref{ast.DefaultRootDocument}
	for part := range bytes.SplitSeq([]byte(name), []byte{'/'}) {
		if len(part) == 0 {
			return nil, fmt.Errorf("entrypoint %q: use package/rule", name)
		}
		ref = append(ref, ast.StringTerm(string(part)))
	}
	return ref, nil
}

// plan lets OPA plan the entrypoints.
func plan(src Source, entrypoints []string, wide bool) (p *ir.Policy, err error) {
	defer func() {
		if r := recover(); r != nil { // some policies that can't be planned make the planner panic
			p, err = nil, fmt.Errorf("the policy can't be planned: %v", r)
		}
	}()
	modules, err := parse(src.Modules) // compiling changes modules, so these are new ones
	if err != nil {
		return nil, err
	}
	b := &bundle.Bundle{Data: map[string]any{}}
	b.Manifest.Init()
	b.SetRegoVersion(ast.RegoV1)
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		b.Modules = append(b.Modules, bundle.ModuleFile{URL: name, Path: name, Parsed: modules[name], Raw: []byte(src.Modules[name])})
	}
	c := opacompile.New().
		WithTarget(opacompile.TargetPlan).
		WithBundle(b).
		WithEntrypoints(entrypoints...).
		WithPruneUnused(true).
		WithCapabilities(Capabilities(wide)).
		WithRegoVersion(ast.RegoV1)
	if err := c.Build(context.Background()); err != nil {
		return nil, err
	}
	if n := len(c.Bundle().PlanModules); n != 1 {
		return nil, fmt.Errorf("%d plans, want 1", n)
	}
	p = &ir.Policy{}
	return p, json.Unmarshal(c.Bundle().PlanModules[0].Raw, p)
}

func baseDocument(data map[string]any) (engine.Value, error) {
	if data == nil {
		data = map[string]any{}
	}
	b, err := json.Marshal(data)
	if err != nil {
		return engine.Value{}, fmt.Errorf("data: %w", err)
	}
	if len(b) > MaxDataBytes {
		return engine.Value{}, fmt.Errorf("data: %d bytes, more than %d", len(b), MaxDataBytes)
	}
	v, err := engine.ParseJSON(b, engine.JSONLimits{Depth: 256, Values: MaxDataBytes})
	if err != nil {
		return engine.Value{}, fmt.Errorf("data: %w", err)
	}
	return v, nil
}

// Capabilities returns what a policy may use: OPA's language, and the builtins
// that every engine has, or with wide those that this one has.
func Capabilities(wide bool) *ast.Capabilities {
	have := engine.LeanBuiltins()
	if wide {
		have = engine.Builtins()
	}
	caps := ast.CapabilitiesForThisVersion()
	caps.AllowNet = []string{} // none
	caps.Builtins = slices.DeleteFunc(slices.Clone(caps.Builtins), func(b *ast.Builtin) bool {
		_, ok := have[b.Name]
		return !ok && !rewritten[b.Name]
	})
	return caps
}

// rewritten lists builtins that OPA's compiler takes out of a policy.
var rewritten = map[string]bool{
	ast.Equality.Name: true, ast.Assign.Name: true, ast.Print.Name: true, ast.InternalPrint.Name: true,
	ast.RegoMetadataChain.Name: true, ast.RegoMetadataRule.Name: true,
}

// hint says of an unknown function that an engine with every builtin knows it.
func hint(e *ast.Error) string {
	name, ok := strings.CutPrefix(e.Message, "undefined function ")
	if _, wide := engine.Builtins()[name]; !ok || !wide {
		return ""
	}
	return " (a lean gateway does not have it; a wide one does)"
}

// asErrors returns err as Errors when OPA found the policy at fault, else as it
// is.
func asErrors(err error) error {
	var found ast.Errors
	if !errors.As(err, &found) {
		return err
	}
	errs := make(Errors, len(found))
	for i, e := range found {
		errs[i] = Error{Code: e.Code, Message: e.Message + hint(e)}
		if e.Location != nil {
			errs[i].File, errs[i].Row, errs[i].Col = e.Location.File, e.Location.Row, e.Location.Col
		}
	}
	return errs
}
