package engine

import (
	"encoding/base64"
	"strings"
	"unsafe"
)

var encodingBuiltins = []builtin{
	{"base64.encode", 1, func(vm *VM, a []Value) (Value, error) {
		return vm.encode("base64.encode", a, base64.StdEncoding.EncodeToString)
	}},
	{"base64.decode", 1, func(vm *VM, a []Value) (Value, error) {
		s, err := strOperand("base64.decode", a, 0)
		if err != nil {
			return Value{}, err
		}
		if !vm.alloc(len(s)) || !vm.charge(len(s)/64) {
			return Value{}, errLimits
		}
		b, err := base64.StdEncoding.AppendDecode(vm.draft(), unsafe.Slice(unsafe.StringData(s), len(s)))
		if err != nil {
			return Value{}, failing("base64.decode", "invalid text")
		}
		return vm.written(b), nil
	}},
	{"base64.is_valid", 1, func(vm *VM, a []Value) (Value, error) {
		s, ok := a[0].Str()
		if !ok {
			return Bool(false), nil
		}
		_, err := base64.StdEncoding.DecodeString(s)
		return Bool(err == nil), vm.work(len(s))
	}},
	{"base64url.encode", 1, func(vm *VM, a []Value) (Value, error) {
		return vm.encode("base64url.encode", a, base64.URLEncoding.EncodeToString)
	}},
	{"base64url.encode_no_pad", 1, func(vm *VM, a []Value) (Value, error) {
		return vm.encode("base64url.encode_no_pad", a, base64.RawURLEncoding.EncodeToString)
	}},
	{"base64url.decode", 1, func(vm *VM, a []Value) (Value, error) { return vm.decode("base64url.decode", a, decodeBase64URL) }},
	{"json.marshal", 1, func(vm *VM, a []Value) (Value, error) {
		if !vm.charge(a[0].size()) {
			return Value{}, errLimits
		}
		return vm.text(string(a[0].appendJSON(nil, true, vm.memory)))
	}},
	{"json.unmarshal", 1, func(vm *VM, a []Value) (Value, error) {
		s, err := strOperand("json.unmarshal", a, 0)
		if err != nil {
			return Value{}, err
		}
		return vm.parse("json.unmarshal", s)
	}},
	{"json.is_valid", 1, func(vm *VM, a []Value) (Value, error) {
		s, ok := a[0].Str()
		if !ok {
			return Bool(false), nil
		}
		_, err := vm.parse("json.is_valid", s)
		if err == errLimits {
			return Value{}, err
		}
		return Bool(err == nil), nil
	}},
}

func (vm *VM) encode(name string, a []Value, f func([]byte) string) (Value, error) {
	s, err := strOperand(name, a, 0)
	if err != nil {
		return Value{}, err
	}
	if !vm.alloc(3 * len(s)) {
		return Value{}, errLimits
	}
	return vm.text(f([]byte(s)))
}

func (vm *VM) decode(name string, a []Value, f func(string) ([]byte, error)) (Value, error) {
	s, err := strOperand(name, a, 0)
	if err != nil {
		return Value{}, err
	}
	if !vm.alloc(len(s)) {
		return Value{}, errLimits
	}
	b, err := f(s)
	if err != nil {
		return Value{}, failing(name, "invalid text")
	}
	return vm.text(string(b))
}

// decodeBase64URL takes texts with and without padding (RFC 7515 appendix C); a
// line break, which is no part of the encoding, counts where padding is missing.
func decodeBase64URL(s string) ([]byte, error) {
	if n := len(s) % 4; n > 1 && !strings.HasSuffix(s, "=") {
		s += "=="[:4-n]
	}
	return base64.URLEncoding.DecodeString(s)
}

// parse reads JSON as encoding/json does: of names given twice the last counts,
// and what is not UTF-8 becomes U+FFFD.
func (vm *VM) parse(name, s string) (Value, error) {
	if !vm.charge(len(s)/8) || !vm.alloc(len(s)) {
		return Value{}, errLimits
	}
	v, err := parseJSON([]byte(s), JSONLimits{Depth: maxDepth, Values: max(vm.memory/valueBytes, 1)}, true)
	if err != nil {
		if err.(*JSONError).Kind == JSONSize && vm.memory/valueBytes < len(s) {
			vm.memory = -1
			return Value{}, errLimits
		}
		return Value{}, failing(name, err.Error())
	}
	if !vm.alloc(v.size() * valueBytes) {
		return Value{}, errLimits
	}
	return v, nil
}
