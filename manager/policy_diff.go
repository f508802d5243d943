package manager

import (
	"slices"

	"github.com/rogpeppe/go-internal/diff"
)

// Diff compares s with what it is to become, as a unified difference of modules
// and data. It is empty when they are the same.
func (s PolicySource) Diff(to PolicySource) string {
	names := append(s.Names(), to.Names()...)
	slices.Sort(names)
	var out string
	for _, name := range slices.Compact(names) {
		out += unified(name, s.Modules[name], to.Modules[name])
	}
	return out + unified("data.json", lines(s.Data), lines(to.Data))
}

func lines(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	return string(data) + "\n"
}

func unified(name, from, to string) string {
	return string(diff.Diff("a/"+name, []byte(from), "b/"+name, []byte(to)))
}
