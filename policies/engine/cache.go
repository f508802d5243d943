//go:build !lean

package engine

import (
	"regexp"
	"strings"

	"github.com/gobwas/glob"
)

// maxPatterns bounds how many compiled patterns of a kind a VM keeps.
const maxPatterns = 100

// maxPatternBytes bounds a pattern; compiling costs more than its length.
const maxPatternBytes = 8 << 10

// caches keep patterns compiled from one decision to the next.
type caches struct {
	regexes map[string]*regexp.Regexp
	globs   map[string]*glob.Pattern
}

// keep puts v into m, and another entry out of it when it is full.
func keep[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
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
func (vm *VM) regex(name, pattern, text string) (*regexp.Regexp, error) {
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
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, failing(name, "invalid pattern")
	}
	keep(&vm.caches.regexes, pattern, re)
	return re, nil
}

// chargePattern charges for running a regular expression over text.
func (vm *VM) chargePattern(pattern, text string) bool {
	return vm.charge(len(text)/4 + len(text)/64*len(pattern)/16)
}

// glob returns the compiled pattern, and charges for running it over text.
func (vm *VM) glob(name, pattern string, delimiters []rune, text string) (*glob.Pattern, error) {
	if !vm.charge(len(text)/4 + len(text)/64*len(pattern)/4) {
		return nil, errLimits
	}
	key := pattern + "\x00" + string(delimiters)
	if g, ok := vm.caches.globs[key]; ok {
		return g, nil
	}
	if len(pattern) > maxPatternBytes {
		return nil, failing(name, "pattern too long")
	}
	if !vm.charge(100 + len(pattern)) {
		return nil, errLimits
	}
	pattern = strings.Clone(pattern)
	g, err := glob.Compile(pattern, delimiters...)
	if err != nil {
		return nil, failing(name, "invalid pattern")
	}
	keep(&vm.caches.globs, key, g)
	return g, nil
}
