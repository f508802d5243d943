//go:build !lean

package engine

var marshalBuiltins = []builtin{{"json.marshal_with_options", 2, marshalWithOptions}}

// marshalWithOptions is json.marshal on several lines, when told "pretty", or
// "prefix" or "indent" without that.
func marshalWithOptions(vm *VM, a []Value) (Value, error) {
	const name = "json.marshal_with_options"
	if a[1].Kind() != KindObject {
		return Value{}, wrongType(name, 2, "object")
	}
	prefix, indent := "", "\t"
	pretty := a[1].Len() > 0
	for key, v := range a[1].All() { // in sort order, so that "pretty" may be followed by "prefix"
		option, _ := key.Str()
		text, isString := v.Str()
		_, isBool := v.Bool()
		switch {
		case option == "prefix" && isString:
			prefix = text
		case option == "indent" && isString:
			indent = text
		case option == "pretty" && isBool:
			pretty = v.isTrue()
		default:
			return Value{}, wrongType(name, 2, `object of "prefix", "indent" and "pretty"`)
		}
	}
	if !vm.charge(a[0].size()) {
		return Value{}, errLimits
	}
	if !pretty {
		return vm.text(string(a[0].appendJSON(nil, true, vm.memory)))
	}
	p := printer{indent: indent, limit: vm.memory}
	text := p.append([]byte(prefix), a[0], "\n"+prefix)
	if len(text) > vm.memory {
		vm.memory = -1
		return Value{}, errLimits
	}
	return vm.text(string(text))
}

// A printer writes JSON on several lines.
type printer struct {
	indent string
	limit  int // bytes; it stops somewhere beyond
}

// append appends v; line is what starts a line at its depth.
func (p printer) append(dst []byte, v Value, line string) []byte {
	if v.Len() == 0 || len(dst) > p.limit {
		return v.appendJSON(dst, true, p.limit)
	}
	inner := line + p.indent
	if len(inner) > p.limit {
		return append(dst, inner...)
	}
	isObject := v.Kind() == KindObject
	open := byte('[')
	if isObject {
		open = '{'
	}
	for key, e := range v.named().All() {
		dst = append(dst, open)
		dst = append(dst, inner...)
		if isObject {
			dst = appendString(dst, keyText(key), true)
			dst = append(dst, ": "...)
		}
		dst = p.append(dst, e, inner)
		open = ','
	}
	dst = append(dst, line...)
	if isObject {
		return append(dst, '}')
	}
	return append(dst, ']')
}
