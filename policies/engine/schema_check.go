//go:build !lean

package engine

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A schemaCheck holds documents against a schema. It ends at its first error,
// which is none of the document.
type schemaCheck struct {
	vm  *VM
	err error
}

// A schemaResult is what is wrong with a document, and how well it fits: of
// several schemas the faults of the best are told. The score is counted as OPA's
// library does.
type schemaResult struct {
	faults []documentFault
	score  int
}

type documentFault struct{ kind, field, text string }

// A trail is the way to a part of a document; nil is the root.
type trail struct {
	name string
	up   *trail
}

func (t *trail) field() string {
	if t == nil {
		return "(Root)"
	}
	var parts []string
	for ; t != nil; t = t.up {
		parts = append(parts, t.name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

func (c *schemaCheck) fault(r *schemaResult, at *trail, kind, text string) {
	f := documentFault{kind, at.field(), text}
	if !c.vm.alloc(len(f.field)+len(text)+64) || !c.vm.charge(1+(len(f.field)+len(text))/16) {
		c.err = errLimits
	}
	r.faults = append(r.faults, f)
	r.score -= 2
}

func (r *schemaResult) merge(o schemaResult) {
	r.faults = append(r.faults, o.faults...)
	r.score += o.score
}

func (r *schemaResult) valid() bool { return len(r.faults) == 0 }

// apart checks v on its own.
func (c *schemaCheck) apart(s *schema, v Value, at *trail, depth int) (r schemaResult) {
	c.check(s, v, at, &r, depth)
	return r
}

// check adds to r what is wrong with v.
func (c *schemaCheck) check(s *schema, v Value, at *trail, r *schemaResult, depth int) {
	for s.refers != nil && c.step(depth) {
		s = s.refers
		depth++
	}
	if !c.step(depth) {
		return
	}
	depth++
	if truth, ok := s.always.Bool(); ok {
		if !truth {
			c.fault(r, at, "false", "False always fails validation")
		}
		return
	}
	if given := typeOf(c.vm, v); len(s.types) > 0 && !slices.Contains(s.types, given) && (given != "integer" || !slices.Contains(s.types, "number")) {
		want := s.types[0]
		if len(s.types) > 1 {
			want = "[" + strings.Join(s.types, ",") + "]"
		}
		c.fault(r, at, "invalid_type", "Invalid type. Expected: "+want+", given: "+given)
		return
	}
	c.combined(s, v, at, r, depth)
	switch v.Kind() {
	case KindNumber:
		c.number(s, v, at, r)
	case KindArray:
		c.array(s, v, at, r, depth)
	case KindObject:
		c.object(s, v, at, r, depth)
	}
	c.common(s, v, at, r)
	switch v.Kind() {
	case KindString:
		c.text(s, v.str(), at, r)
	case KindObject:
		for _, p := range s.properties {
			if e, ok := v.Get(p.name); ok {
				c.check(p.schema, e, &trail{p.name, at}, r, depth)
			}
		}
	}
	r.score++
}

// step charges for a schema that is looked at, and reports whether to go on.
func (c *schemaCheck) step(depth int) bool {
	switch {
	case c.err != nil:
	case depth > maxSchemaDepth: // such as a schema that is itself, where OPA's stack overflows
		c.err = &Error{Code: ErrDepth, Message: "schemas in schemas"}
	case !c.vm.charge(8):
		c.err = errLimits
	default:
		return true
	}
	return false
}

// common checks what any value may have to be.
func (c *schemaCheck) common(s *schema, v Value, at *trail, r *schemaResult) {
	if s.isEnum || !s.only.IsUndefined() {
		text, err := c.vm.canonical(v)
		if _, ok := err.(schemaFault); ok {
			err = failing("schema", err.Error()) // where OPA panics
		}
		if err != nil {
			c.err = err
			return
		}
		if only, ok := s.only.Str(); ok && text != only {
			c.fault(r, at, "const", at.field()+" does not match: "+only)
		}
		if s.isEnum && !slices.Contains(s.allowed, text) {
			c.fault(r, at, "enum", at.field()+" must be one of the following: "+strings.Join(s.allowed, ", "))
		}
	}
	if text, ok := v.Str(); ok && s.format != "" && !c.vm.hasFormat(s.format, text) {
		c.fault(r, at, "format", "Does not match format '"+s.format+"'")
	}
	r.score++
}

func (c *schemaCheck) text(s *schema, text string, at *trail, r *schemaResult) {
	r.score++
	if s.length.least >= 0 || s.length.most >= 0 {
		n := utf8.RuneCountInString(text)
		if s.length.least > n {
			c.fault(r, at, "string_gte", "String length must be greater than or equal to "+strconv.Itoa(s.length.least))
		}
		if s.length.most >= 0 && s.length.most < n {
			c.fault(r, at, "string_lte", "String length must be less than or equal to "+strconv.Itoa(s.length.most))
		}
	}
	if s.pattern == nil {
		return
	}
	if !c.vm.chargePattern(s.pattern.String(), text) {
		c.err = errLimits
	} else if !s.pattern.MatchString(text) {
		c.fault(r, at, "pattern", "Does not match pattern '"+s.pattern.String()+"'")
	}
}

// canonical returns v as JSON that is the same for equal values: numbers are
// those that a float64 holds.
func (vm *VM) canonical(v Value) (string, error) {
	if !vm.charge(v.size()) {
		return "", errLimits
	}
	b, err := vm.appendCanonical(nil, v)
	if !vm.alloc(len(b)) {
		return "", errLimits
	}
	return string(b), err
}

func (vm *VM) appendCanonical(b []byte, v Value) (_ []byte, err error) {
	if len(b) > vm.memory {
		return b, errLimits
	}
	switch v.Kind() {
	case KindNumber:
		f, ok := v.Float()
		if !ok {
			return b, schemaFault("json: cannot unmarshal number " + v.Text() + " into Go value of type float64")
		}
		return append(b, jsonFloat(f).Text()...), nil
	case KindArray:
		sep := byte('[')
		for _, e := range v.elems() {
			if b, err = vm.appendCanonical(append(b, sep), e); err != nil {
				return b, err
			}
			sep = ','
		}
		if v.Len() == 0 {
			b = append(b, '[')
		}
		return append(b, ']'), nil
	case KindObject:
		sep := byte('{')
		for name, e := range v.Members() {
			b = append(appendString(append(b, sep), name, true), ':')
			if b, err = vm.appendCanonical(b, e); err != nil {
				return b, err
			}
			sep = ','
		}
		if v.Len() == 0 {
			b = append(b, '{')
		}
		return append(b, '}'), nil
	}
	return v.appendJSON(b, true, vm.memory), nil
}
