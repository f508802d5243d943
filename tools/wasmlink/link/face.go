package link

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An Interface is what a module needs from its host and offers to it.
type Interface struct {
	Imports []Function // by name
	Exports []Function // by name
	start   bool
}

// A Function is an import or export with its type. What is exported and is no
// function has no signature but its kind, as in "memory".
type Function struct{ Name, Signature string }

// Read returns the interface of a module.
func Read(wasm []byte) (Interface, error) {
	m, err := parse(wasm)
	if err != nil {
		return Interface{}, err
	}
	return m.face(), nil
}

func (m *module) face() Interface {
	f := Interface{start: m.start}
	for _, e := range m.imports {
		f.Imports = append(f.Imports, Function{e.module + "." + e.name, e.signature})
	}
	for _, e := range m.exports {
		signature := fmt.Sprintf("kind %d", e.kind)
		switch e.kind {
		case functionKind:
			signature = m.funcs[e.index]
		case memoryKind:
			signature = "memory"
		}
		f.Exports = append(f.Exports, Function{e.name, signature})
	}
	for _, list := range [][]Function{f.Imports, f.Exports} {
		slices.SortFunc(list, func(a, b Function) int { return strings.Compare(a.Name, b.Name) })
	}
	return f
}

// String is the form that is kept in a file: one line each, imports first.
func (f Interface) String() string {
	var b strings.Builder
	for _, i := range f.Imports {
		fmt.Fprintf(&b, "import %s %s\n", i.Name, i.Signature)
	}
	for _, e := range f.Exports {
		fmt.Fprintf(&b, "export %s %s\n", e.Name, e.Signature)
	}
	return b.String()
}

// Check reports whatever keeps Higress or Envoy from loading a module with this
// interface, or from deciding every request in it.
func (f Interface) Check() error {
	var errs []error
	for _, i := range f.Imports {
		if !offered[i.Name] {
			errs = append(errs, fmt.Errorf("import %s: not offered by both Higress and Envoy", i.Name))
		}
	}
	wanted := needed
	if slices.ContainsFunc(together, func(n need) bool { return f.export(n.Name) >= 0 }) {
		wanted = slices.Concat(needed, together)
	}
	for _, want := range wanted {
		switch at := f.export(want.Name); {
		case at < 0:
			errs = append(errs, fmt.Errorf("export %s is missing: %s", want.Name, want.reason))
		case f.Exports[at].Signature != want.Signature:
			errs = append(errs, fmt.Errorf("export %s is %q, want %q", want.Name, f.Exports[at].Signature, want.Signature))
		}
	}
	if f.start {
		errs = append(errs, errors.New("there is a start function: a host runs it before the module can call back; build with -buildmode=c-shared"))
	}
	return errors.Join(errs...)
}

// export is the place of an export, -1 for none.
func (f Interface) export(name string) int {
	return slices.IndexFunc(f.Exports, func(e Function) bool { return e.Name == name })
}

// Diff says how f differs from the interface that was written down, line by
// line; "" when it does not.
func (f Interface) Diff(golden string) string {
	was := strings.Split(strings.TrimSpace(golden), "\n")
	is := strings.Split(strings.TrimSpace(f.String()), "\n")
	var b strings.Builder
	for _, line := range was {
		if !slices.Contains(is, line) {
			fmt.Fprintf(&b, "- %s\n", line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			fmt.Fprintf(&b, "+ %s\n", line)
		}
	}
	return b.String()
}
