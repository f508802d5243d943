//go:build !lean

package engine

import (
	"net/netip"
	"net/url"
	"regexp/syntax"
	"strings"
	"time"
)

// hasFormat reports whether a text has a format; a format that is not known has
// every text. They are those of OPA's library, and as lax.
func (vm *VM) hasFormat(format, text string) bool {
	if !vm.charge(10 + len(text)/4) {
		return false // which the VM notices
	}
	switch format {
	case "date":
		return isTime(text, time.DateOnly)
	case "time":
		return isTime(text, "15:04:05Z07:00", time.TimeOnly)
	case "date-time":
		return isTime(text, time.TimeOnly, "15:04:05Z07:00", time.DateOnly, time.RFC3339, time.RFC3339Nano)
	case "email", "idn-email":
		return isAddress(text)
	case "ipv4", "ipv6":
		a, err := netip.ParseAddr(text)
		return err == nil && a.Zone() == "" && strings.Contains(text, map[string]string{"ipv4": ".", "ipv6": ":"}[format])
	case "uri", "iri":
		u, err := url.Parse(text)
		return err == nil && u.Scheme != "" && !strings.Contains(text, `\`)
	case "uri-reference", "iri-reference":
		_, err := url.Parse(text)
		return err == nil && !strings.Contains(text, `\`)
	case "uri-template":
		u, err := url.Parse(text)
		return err == nil && !strings.Contains(text, `\`) && vm.matches(`^([^{]*({[^}]*})?)*$`, u.Path)
	case "hostname":
		const label = `([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])`
		return len(text) < 256 && vm.matches(`^`+label+`(\.`+label+`)*$`, text)
	case "uuid":
		return vm.matches(`^(?i)[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$`, text)
	case "regex":
		if len(text) > maxPatternBytes || !vm.charge(100+len(text)) {
			vm.budget = -1
			return false
		}
		_, err := syntax.Parse(text, syntax.Perl)
		return err == nil
	case "json-pointer":
		return vm.matches(`^(?:/(?:[^~/]|~0|~1)*)*$`, text)
	case "relative-json-pointer":
		return vm.matches(`^(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~0|~1)*)*)$`, text)
	}
	return true
}

func isTime(text string, layouts ...string) bool {
	for _, l := range layouts {
		if _, err := time.Parse(l, text); err == nil {
			return true
		}
	}
	return false
}

func (vm *VM) matches(pattern, text string) bool {
	re, err := vm.regex("schema", pattern, text)
	return err == nil && re.MatchString(text)
}
