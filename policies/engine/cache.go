//go:build !lean

package engine

import (
	"strings"

	"github.com/gobwas/glob"
)

// maxPatterns bounds how many compiled patterns of a kind a VM keeps.
const maxPatterns = 100

// maxPatternBytes bounds a pattern; compiling costs more than its length.
const maxPatternBytes = 8 << 10

// caches keep patterns compiled from one decision to the next.
type caches struct {
	regexes map[string]*pattern
	globs   map[globKey]*glob.Pattern
	fixed   [64]fixedPattern
}

// A fixedPattern is one that stands in the policy, found by its constants instead
// of by its text. The zero value is none: operands of constants are negative.
type fixedPattern struct {
	of, delimiters int32 // operands
	regex          *pattern
	glob           *glob.Pattern
}

// fixed returns where the first operand has its pattern, or nil when that does not
// stand in the policy.
func (vm *VM) fixed() *fixedPattern {
	if x := vm.operands[0]; x < 0 {
		return &vm.caches.fixed[^x%int32(len(vm.caches.fixed))]
	}
	return nil
}

// A globKey is a pattern with its delimiters, characters in a row.
type globKey struct{ pattern, delimiters string }

// keep puts v into m, and another entry out of it when it is full.
func keep[K comparable, V any](m *map[K]V, key K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	if len(*m) >= maxPatterns {
		for k := range *m {
			delete(*m, k)
			break
		}
	}
	(*m)[key] = v
}

// regex returns the compiled pattern, and charges for running it over text.
func (vm *VM) regex(name, pattern, text string) (*pattern, error) {
	if !vm.chargePattern(pattern, text) {
		return nil, errLimits
	}
	if re, ok := vm.caches.regexes[pattern]; ok {
		return re, nil
	}
	if len(pattern) > maxPatternBytes {
		return nil, failing(name, "pattern too long")
	}
	if !vm.charge(100 + len(pattern)) {
		return nil, errLimits
	}
	pattern = strings.Clone(pattern) // a request may have it, whose memory is used again
	re, err := compilePattern(pattern)
	if err != nil {
		return nil, failing(name, "invalid pattern")
	}
	keep(&vm.caches.regexes, pattern, re)
	return re, nil
}

// firstRegex is regex for a pattern that is the first operand.
func (vm *VM) firstRegex(name, pattern, text string) (*pattern, error) {
	kept := vm.fixed()
	if kept != nil && kept.of == vm.operands[0] && kept.regex != nil {
		if !vm.chargePattern(pattern, text) {
			return nil, errLimits
		}
		return kept.regex, nil
	}
	re, err := vm.regex(name, pattern, text)
	if kept != nil && err == nil {
		*kept = fixedPattern{of: vm.operands[0], regex: re}
	}
	return re, err
}

// chargePattern charges for running a regular expression over text.
func (vm *VM) chargePattern(pattern, text string) bool {
	return vm.charge(len(text)/4 + len(text)/64*len(pattern)/16)
}

// glob returns the compiled pattern, and charges for running it over text.
func (vm *VM) glob(name string, key globKey, text string) (*glob.Pattern, error) {
	if !vm.chargeGlob(key.pattern, text) {
		return nil, errLimits
	}
	if g, ok := vm.caches.globs[key]; ok {
		return g, nil
	}
	if len(key.pattern) > maxPatternBytes {
		return nil, failing(name, "pattern too long")
	}
	if !vm.charge(100 + len(key.pattern)) {
		return nil, errLimits
	}
	key = globKey{strings.Clone(key.pattern), strings.Clone(key.delimiters)}
	g, err := glob.Compile(key.pattern, []rune(key.delimiters)...)
	if err != nil {
		return nil, failing(name, "invalid pattern")
	}
	keep(&vm.caches.globs, key, g)
	return g, nil
}

// chargeGlob charges for running a glob over text.
func (vm *VM) chargeGlob(pattern, text string) bool {
	return vm.charge(len(text)/4 + len(text)/64*len(pattern)/4)
}
