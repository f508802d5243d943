package compile

import (
	"errors"
	"fmt"
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// check compiles modules as OPA does, for the sake of its errors.
func check(modules map[string]*ast.Module, data map[string]any, opt Options) (*ast.Compiler, error) {
	c := ast.NewCompiler().
		WithCapabilities(Capabilities(opt.Wide)).
		WithDefaultRegoVersion(ast.RegoV1).
		WithStrict(opt.Strict).
		WithPathConflictsCheck(func(path []string) (bool, error) { return hasPath(data, path), nil })
	if opt.Schema != nil {
		var s any
		if err := util.UnmarshalJSON(opt.Schema, &s); err != nil {
			return nil, fmt.Errorf("input schema: %w", err)
		}
		set := ast.NewSchemaSet()
		set.Put(ast.SchemaRootRef, s)
		c = c.WithSchemas(set).WithUseTypeCheckAnnotations(true)
	}
	copies := make(map[string]*ast.Module, len(modules))
	for name, m := range modules {
		copies[name] = m.Copy()
	}
	if c.Compile(copies); c.Failed() {
		return nil, asErrors(c.Errors)
	}
	return c, nil
}

func hasPath(data map[string]any, path []string) bool {
	var v any = data
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return true // a rule below a value that has no members
		}
		if v, ok = m[name]; !ok {
			return false
		}
	}
	return len(path) > 0
}

// checkWithTests checks a policy, and its tests, which run in OPA and may use what
// a wide engine has. The compiler that it returns knows no tests.
func checkWithTests(modules map[string]*ast.Module, data map[string]any, opt Options) (*ast.Compiler, error) {
	deployed := withoutTests(modules)
	c, err := check(deployed, data, opt)
	var errs Errors
	if err != nil && !errors.As(err, &errs) || len(deployed) == len(modules) {
		return c, err
	}
	opt.Wide = true
	_, err = check(modules, data, opt)
	var all Errors
	if err != nil && !errors.As(err, &all) {
		return nil, err
	}
	for _, e := range all {
		if isTest(e.File) || len(errs) == 0 {
			errs = append(errs, e)
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return c, nil
}

// withoutTests are the files of a policy that are no tests.
func withoutTests[T any](modules map[string]T) map[string]T {
	deployed := maps.Clone(modules)
	maps.DeleteFunc(deployed, func(name string, _ T) bool { return isTest(name) })
	return deployed
}
