package compile

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// mocksLast puts what replaces functions behind what replaces documents, in each
// expression with both: OPA's planner confuses the documents else. All values
// are found before anything is replaced, so order means nothing.
func mocksLast(modules map[string]*ast.Module) {
	functions := functionsOf(modules)
	for _, m := range modules {
		reorder(m, m.Package.Path, m.Imports, functions)
	}
}

// functionsOf returns the functions of modules by path.
func functionsOf(modules map[string]*ast.Module) map[string]bool {
	found := map[string]bool{}
	for _, m := range modules {
		for _, r := range m.Rules {
			if len(r.Head.Args) > 0 {
				found[m.Package.Path.Extend(r.Head.Ref()).String()] = true
			}
		}
	}
	return found
}

// reorder is mocksLast of what stands in a package, x being of package ast.
func reorder(x any, pkg ast.Ref, imports []*ast.Import, functions map[string]bool) {
	isMock := func(w *ast.With) bool {
		target, ok := w.Target.Value.(ast.Ref)
		if !ok {
			target = ast.Ref{w.Target}
		}
		for _, i := range imports {
			if path, ok := i.Path.Value.(ast.Ref); ok && i.Name().Equal(target[0].Value) {
				target = append(slices.Clone(path), target[1:]...)
				break
			}
		}
		switch head, _ := target[0].Value.(ast.Var); {
		case head.Equal(ast.InputRootDocument.Value):
			return false
		case head.Equal(ast.DefaultRootDocument.Value):
			return functions[target.String()]
		}
		_, isBuiltin := ast.BuiltinMap[target.String()]
		return isBuiltin || functions[pkg.Extend(target).String()]
	}
	ast.WalkExprs(x, func(e *ast.Expr) bool {
		if len(e.With) > 1 {
			mocks := slices.DeleteFunc(slices.Clone(e.With), func(w *ast.With) bool { return !isMock(w) })
			e.With = append(slices.DeleteFunc(e.With, isMock), mocks...)
		}
		return false
	})
}
