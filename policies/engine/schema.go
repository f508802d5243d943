//go:build !lean

package engine

import (
	"math/big"
	"slices"
	"strconv"
)

// Drafts of JSON Schema. Without "$schema" it is mixed, which takes what any
// draft has.
const (
	draft4     = 4
	draft6     = 6
	draft7     = 7
	draftMixed = 99
)

// A schema is a compiled JSON schema, or a part of one.
type schema struct {
	always  Value   // true or false when that is the whole schema
	refers  *schema // nothing else counts then
	types   []string
	allowed []string // of enum, as canonical JSON
	isEnum  bool
	only    Value // const as canonical JSON, a text
	format  string
	pattern *pattern

	multipleOf, minimum, maximum, above, below *big.Rat
	length, items, members                     bounds
	unique                                     bool

	properties      []property
	patterns        []property
	otherProperties extra
	names           *schema
	required        []string
	dependencies    []property

	list       []*schema // of items, one for each
	each       *schema   // of items, one for all
	otherItems extra
	contains   *schema

	anyOf, oneOf, allOf     []*schema
	not, when, then, orElse *schema
}

// bounds are how many there may be; -1 is no bound.
type bounds struct{ least, most int }

// A property is a schema, or the names that must be there too, for what has a
// name or fits a pattern.
type property struct {
	name    string
	pattern *pattern
	schema  *schema
	needs   []string
}

// extra is what else there may be: anything, nothing, or what fits a schema.
type extra struct {
	none   bool
	schema *schema
}

// maxSchemaDepth bounds how deep schemas lie in each other and refer to each
// other, and with them the stack.
const maxSchemaDepth = 256

// A schemaCompiler compiles one schema.
type schemaCompiler struct {
	vm    *VM
	draft int
	pool  map[string]Value   // parts by absolute reference
	refs  map[string]*schema // what was referred to already
}

// compileSchema compiles a schema; the error is a schemaFault when it is at fault.
func (vm *VM) compileSchema(v Value) (*schema, error) {
	c := &schemaCompiler{vm: vm, draft: draftMixed, pool: map[string]Value{}, refs: map[string]*schema{}}
	if err := c.begin(v); err != nil {
		return nil, err
	}
	return c.compile(c.pool[""], 0)
}

func (c *schemaCompiler) compile(v Value, depth int) (*schema, error) {
	s := &schema{length: bounds{-1, -1}, items: bounds{-1, -1}, members: bounds{-1, -1}}
	return s, c.fill(s, v, depth)
}

// fill compiles v into s, which others may refer to already.
func (c *schemaCompiler) fill(s *schema, v Value, depth int) error {
	if depth > maxSchemaDepth {
		return &Error{Code: ErrDepth, Message: "schemas in schemas"}
	}
	if !c.vm.charge(10) || !c.vm.alloc(512) {
		return errLimits
	}
	if _, ok := v.Bool(); ok && c.draft >= draft6 {
		s.always = v
		return nil
	}
	if v.Kind() != KindObject {
		return schemaFault("Expected: Valid Schema, given: Invalid JSON")
	}
	k := keywords{c, v, depth + 1}
	for _, step := range []func(*schema) error{
		k.identity, k.types, k.objects, k.arrays, k.numbers, k.texts, k.counts, k.values, k.combinations,
	} {
		if err := step(s); err != nil {
			if err == errReferred {
				return nil
			}
			return err
		}
	}
	return nil
}

// keywords are those of one schema; depth is that of schemas in it.
type keywords struct {
	*schemaCompiler
	v     Value
	depth int
}

func (k keywords) sub(v Value) (*schema, error) { return k.compile(v, k.depth) }

// text returns the text of a keyword, and whether there is one.
func (k keywords) text(key string) (string, bool, error) {
	v, ok := k.v.Get(key)
	if !ok {
		return "", false, nil
	}
	s, isText := v.Str()
	if !isText {
		return "", false, notOfType("string", key)
	}
	return s, true, nil
}

// array returns the elements of a keyword's value, and whether there is one.
func (k keywords) array(key string) ([]Value, bool, error) {
	v, ok := k.v.Get(key)
	if !ok {
		return nil, false, nil
	}
	if v.Kind() != KindArray {
		return nil, false, mustBeAn(key, "array")
	}
	return v.elems(), true, nil
}

func notOfType(want, given string) error {
	return schemaFault("Invalid type. Expected: " + want + ", given: " + given)
}

func mustBe(what, ofType string) error { return schemaFault(what + " must be of type " + ofType) }
func mustBeA(what, kind string) error  { return schemaFault(what + " must be of a " + kind) }
func mustBeAn(what, kind string) error { return schemaFault(what + " must be of an " + kind) }

// isSchema reports whether v has the form of a schema.
func isSchema(v Value) bool { return v.Kind() == KindObject || v.Kind() == KindBool }

var schemaTypes = []string{"array", "boolean", "integer", "number", "null", "object", "string"}

func (k keywords) types(s *schema) error {
	v, ok := k.v.Get("type")
	if !ok {
		return nil
	}
	list := []Value{v}
	if v.Kind() == KindArray {
		list = v.elems()
	}
	for _, e := range list {
		t, isText := e.Str()
		switch {
		case !isText:
			return notOfType("type", "string/Array Of Strings")
		case !slices.Contains(schemaTypes, t):
			return schemaFault("has a primitive type that is NOT VALID -- given: /" + t + "/ Expected valid values are:[array boolean integer number null object string]")
		case slices.Contains(s.types, t):
			return schemaFault(t + " type is duplicated")
		}
		s.types = append(s.types, t)
	}
	return nil
}

// texts are the keywords about texts.
func (k keywords) texts(s *schema) (err error) {
	if s.length, err = k.bounds("minLength", "maxLength"); err != nil {
		return err
	}
	if s.length.most >= 0 && s.length.least > s.length.most {
		return schemaFault("minLength cannot be greater than maxLength")
	}
	pattern, ok, err := k.text("pattern")
	if err != nil {
		return err
	}
	if ok {
		if s.pattern, err = k.regex(pattern); err != nil {
			return faultOf(err, "pattern must be a valid regex")
		}
	}
	s.format, _, err = k.text("format")
	return err
}

func (k keywords) regex(text string) (*pattern, error) {
	return k.vm.regex("schema", text, "")
}

// faultOf returns the fault text in place of an error of a builtin.
func faultOf(err error, text string) error {
	if _, ok := err.(failure); ok {
		return schemaFault(text)
	}
	return err
}

// counts are the keywords about how many there are, and which.
func (k keywords) counts(s *schema) (err error) {
	if s.members, err = k.bounds("minProperties", "maxProperties"); err != nil {
		return err
	}
	if s.members.most >= 0 && s.members.least > s.members.most {
		return schemaFault("minProperties cannot be greater than maxProperties")
	}
	required, _, err := k.array("required")
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(required))
	for _, e := range required {
		name, ok := e.Str()
		switch {
		case !ok:
			return notOfType("string", "required")
		case seen[name]:
			return schemaFault("required items must be unique")
		}
		seen[name] = true
		s.required = append(s.required, name)
	}
	if s.items, err = k.bounds("minItems", "maxItems"); err != nil {
		return err
	}
	if v, ok := k.v.Get("uniqueItems"); ok {
		if s.unique, ok = v.Bool(); !ok {
			return mustBeA("uniqueItems", "boolean")
		}
	}
	if v, ok := k.v.Get("contains"); ok && k.draft >= draft6 {
		s.contains, err = k.sub(v)
	}
	return err
}

func (k keywords) bounds(least, most string) (b bounds, err error) {
	if b.least, err = k.count(least); err != nil {
		return b, err
	}
	b.most, err = k.count(most)
	return b, err
}

// count returns the number of a keyword, or -1 when there is none.
func (k keywords) count(key string) (int, error) {
	v, ok := k.v.Get(key)
	if !ok {
		return -1, nil
	}
	n, err := strconv.ParseInt(v.Text(), 10, 64)
	switch {
	case err != nil:
		return 0, mustBeAn(key, "integer")
	case n < 0:
		return 0, schemaFault(key + " must be greater than or equal to 0")
	}
	return int(n), nil
}

// values are the keywords that name values.
func (k keywords) values(s *schema) error {
	if v, ok := k.v.Get("const"); ok && k.draft >= draft6 {
		text, err := k.vm.canonical(v)
		if err != nil {
			return err
		}
		s.only = String(text)
	}
	list, ok, err := k.array("enum")
	s.isEnum = ok
	seen := make(map[string]bool, len(list))
	for _, v := range list {
		text, err := k.vm.canonical(v)
		if err != nil {
			return err
		}
		if seen[text] {
			return schemaFault("enum items must be unique")
		}
		seen[text] = true
		s.allowed = append(s.allowed, text)
	}
	return err
}
