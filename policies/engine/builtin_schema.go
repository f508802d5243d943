//go:build !lean

package engine

// Schemas are checked by code of our own that says what OPA's library says: that
// library links net/http, and a schema that refers to itself overflows its stack.

var schemaBuiltins = []builtin{
	{"json.match_schema", 2, matchSchema},
	{"json.verify_schema", 1, verifySchema},
}

func matchSchema(vm *VM, a []Value) (Value, error) {
	const name = "json.match_schema"
	doc, err := vm.schemaOperand(name, a[0])
	if err != nil {
		return Value{}, faulty(name, err)
	}
	text, err := vm.schemaOperand(name, a[1])
	if err != nil {
		return Value{}, faulty(name, err)
	}
	s, err := vm.compileSchema(text)
	if err != nil {
		return Value{}, faulty(name, err)
	}
	c := schemaCheck{vm: vm}
	var r schemaResult
	c.check(s, doc, nil, &r, 0)
	if c.err != nil {
		return Value{}, faulty(name, c.err)
	}
	list := vm.make(len(r.faults))
	if len(list) != len(r.faults) {
		return Value{}, errLimits
	}
	for i, f := range r.faults {
		if !vm.alloc(2*len(f.field) + 2*len(f.text) + 8*valueBytes) {
			return Value{}, errLimits
		}
		list[i] = newObject([]Member{
			{String("desc"), String(f.text)},
			{String("error"), String(f.field + ": " + f.text)},
			{String("field"), String(f.field)},
			{String("type"), String(f.kind)},
		})
	}
	return newArray([]Value{Bool(len(list) == 0), newArray(list)}), nil
}

func verifySchema(vm *VM, a []Value) (Value, error) {
	const name = "json.verify_schema"
	text, err := vm.schemaOperand(name, a[0])
	if err == nil {
		_, err = vm.compileSchema(text)
	}
	wrong, ok := err.(schemaFault)
	switch {
	case err == nil:
		return newArray([]Value{Bool(true), Null}), nil
	case ok:
		return newArray([]Value{Bool(false), String("jsonschema: " + string(wrong))}), nil
	}
	return Value{}, err
}

// A schemaFault is what is wrong with a schema, in the words of OPA's library.
type schemaFault string

func (f schemaFault) Error() string { return string(f) }

// faulty makes the failure of a builtin of what is wrong with a schema.
func faulty(name string, err error) error {
	if f, ok := err.(schemaFault); ok {
		return failing(name, string(f))
	}
	return err
}

// schemaOperand returns a document or schema as JSON has it: a text is JSON
// itself, a set an array, and every key a text.
func (vm *VM) schemaOperand(name string, v Value) (Value, error) {
	switch v.Kind() {
	case KindString:
		v, err := vm.parse(name, v.str())
		if _, ok := err.(failure); ok {
			return Value{}, schemaFault("invalid JSON string")
		}
		return v, err
	case KindArray, KindObject:
		if !vm.charge(v.size()) {
			return Value{}, errLimits
		}
		if v.isJSON() {
			return v, nil
		}
		text := v.appendJSON(nil, true, vm.memory)
		if !vm.alloc(len(text)) {
			return Value{}, errLimits
		}
		return vm.parse(name, string(text))
	}
	return Value{}, schemaFault("wrong type, expected string or object")
}

// isJSON reports whether v has no set, and no key that is no text.
func (v Value) isJSON() bool {
	switch v.Kind() {
	case KindSet:
		return false
	case KindArray:
		for _, e := range v.elems() {
			if !e.isJSON() {
				return false
			}
		}
	case KindObject:
		if !v.isStringObject() {
			return false
		}
		for _, m := range v.members() {
			if !m.Value.isJSON() {
				return false
			}
		}
	}
	return true
}
