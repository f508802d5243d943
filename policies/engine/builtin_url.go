//go:build !lean

package engine

import (
	"cmp"
	"net/url"
	"slices"
)

var urlBuiltins = []builtin{
	{"urlquery.encode", 1, func(vm *VM, a []Value) (Value, error) { return vm.change("urlquery.encode", a, url.QueryEscape) }},
	{"urlquery.decode", 1, func(vm *VM, a []Value) (Value, error) {
		return vm.decode("urlquery.decode", a, func(s string) ([]byte, error) {
			t, err := url.QueryUnescape(s)
			return []byte(t), err
		})
	}},
	{"urlquery.encode_object", 1, encodeQuery},
	{"urlquery.decode_object", 1, decodeQuery},
	{"uri.parse", 1, parseURI},
	{"uri.is_valid", 1, func(vm *VM, a []Value) (Value, error) {
		s, ok := a[0].Str()
		if !ok || s == "" {
			return Bool(false), nil
		}
		_, err := url.Parse(s)
		return Bool(err == nil), vm.work(len(s))
	}},
}

func encodeQuery(vm *VM, a []Value) (Value, error) {
	const name = "urlquery.encode_object"
	if err := objects(name, a); err != nil {
		return Value{}, err
	}
	if !vm.charge(a[0].size()) {
		return Value{}, errLimits
	}
	query := url.Values{}
	for key, v := range a[0].named().All() {
		list := []Value{v}
		if k := v.Kind(); k == KindArray || k == KindSet {
			list = v.elems()
		}
		for _, e := range list {
			s, ok := e.Str()
			if !ok {
				return Value{}, wrongType(name, 1, "object of strings, or of arrays or sets of them")
			}
			if !vm.alloc(3 * len(s)) {
				return Value{}, errLimits
			}
			query.Add(key.str(), s)
		}
	}
	return vm.text(query.Encode())
}

func decodeQuery(vm *VM, a []Value) (Value, error) {
	s, err := strOperand("urlquery.decode_object", a, 0)
	if err != nil {
		return Value{}, err
	}
	if !vm.charge(len(s)/2) || !vm.alloc(8*len(s)) {
		return Value{}, errLimits
	}
	query, err := url.ParseQuery(s)
	if err != nil {
		return Value{}, failing("urlquery.decode_object", "invalid query")
	}
	members := make([]Member, 0, len(query))
	for name, list := range query {
		v, err := vm.texts(list)
		if err != nil {
			return Value{}, err
		}
		members = append(members, Member{String(name), v})
	}
	slices.SortFunc(members, func(a, b Member) int { return Compare(a.Key, b.Key) })
	return newObject(members), nil
}

func parseURI(vm *VM, a []Value) (Value, error) {
	s, err := strOperand("uri.parse", a, 0)
	if err != nil {
		return Value{}, err
	}
	if !vm.charge(20+len(s)/8) || !vm.alloc(4*len(s)+16*valueBytes) {
		return Value{}, errLimits
	}
	u, err := url.Parse(s)
	if err != nil {
		return Value{}, failing("uri.parse", "invalid URI")
	}
	var b ObjectBuilder
	for _, part := range [...]struct{ name, text string }{
		{"scheme", u.Scheme},
		{"hostname", u.Hostname()},
		{"port", u.Port()},
		{"path", u.Path},
		{"raw_path", cmp.Or(u.RawPath, u.Path)},
		{"raw_query", u.RawQuery},
		{"fragment", u.Fragment},
	} {
		if part.text != "" && (part.name != "raw_path" || u.Path != "") {
			b.Set(part.name, String(part.text))
		}
	}
	return b.Value(), nil
}
