//go:build !lean

package engine

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

var yamlBuiltins = []builtin{
	{"yaml.marshal", 1, marshalYAML},
	{"yaml.unmarshal", 1, func(vm *VM, a []Value) (Value, error) {
		s, err := strOperand("yaml.unmarshal", a, 0)
		if err != nil {
			return Value{}, err
		}
		return vm.parseYAML("yaml.unmarshal", s)
	}},
	{"yaml.is_valid", 1, func(vm *VM, a []Value) (Value, error) {
		s, ok := a[0].Str()
		if !ok {
			return Bool(false), nil
		}
		_, err := vm.parseYAML("yaml.is_valid", s)
		if err == errLimits {
			return Value{}, err
		}
		return Bool(err == nil), nil
	}},
}

// maxYAMLBytes bounds what is read as YAML; the reader takes time beyond its
// length for some texts.
const maxYAMLBytes = 256 << 10

// marshalYAML writes v the way its JSON reads as YAML.
func marshalYAML(vm *VM, a []Value) (v Value, err error) {
	defer recovered("yaml.marshal", &err)
	text := a[0].appendJSON(nil, true, vm.memory)
	if len(text) > maxYAMLBytes || !vm.charge(a[0].size()*8+len(text)) || !vm.alloc(8*len(text)) {
		vm.budget = -1
		return Value{}, errLimits
	}
	var x any
	if err := yaml.Unmarshal(text, &x); err != nil {
		return Value{}, failing("yaml.marshal", "the value can't be YAML")
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(x), enc.Close()); err != nil {
		return Value{}, failing("yaml.marshal", "the value can't be YAML")
	}
	return vm.text(out.String())
}

// recovered makes an error of a panic in the YAML library.
func recovered(name string, err *error) {
	if recover() != nil {
		*err = failing(name, "invalid YAML")
	}
}

// parseYAML returns the first document of a text, all of whose documents must be
// well-formed.
func (vm *VM) parseYAML(name, s string) (v Value, err error) {
	defer recovered(name, &err)
	if len(s) > maxYAMLBytes || !vm.charge(20+len(s)) || !vm.alloc(40*len(s)) {
		vm.budget = -1
		return Value{}, errLimits
	}
	r := yamlReader{vm: vm, name: name}
	dec := yaml.NewDecoder(bytes.NewReader([]byte(s)))
	v = Null
	for first := true; ; first = false {
		var n yaml.Node
		switch err := dec.Decode(&n); {
		case errors.Is(err, io.EOF):
			return v, nil
		case err != nil:
			return Value{}, failing(name, "invalid YAML")
		case first:
			if v, err = r.value(&n, 0); err != nil {
				return Value{}, err
			}
		}
	}
}

// A yamlReader makes values of YAML nodes. Each alias counts for all that it
// stands for.
type yamlReader struct {
	vm   *VM
	name string
}

func (r *yamlReader) fail() error { return failing(r.name, "not YAML that JSON can say") }

func (r *yamlReader) value(n *yaml.Node, depth int) (Value, error) {
	if !r.vm.charge(8) || !r.vm.alloc(2*valueBytes) || depth > maxDepth {
		r.vm.budget = -1
		return Value{}, errLimits
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return Null, nil
		}
		return r.value(n.Content[0], depth)
	case yaml.AliasNode:
		return r.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		elems := make([]Value, len(n.Content))
		for i, c := range n.Content {
			var err error
			if elems[i], err = r.value(c, depth+1); err != nil {
				return Value{}, err
			}
		}
		return newArray(elems), nil
	case yaml.MappingNode:
		var members []Member
		if err := r.members(&members, n, depth, 0); err != nil {
			return Value{}, err
		}
		return Object(members), nil
	case yaml.ScalarNode:
		return r.scalar(n)
	}
	return Null, nil
}

// members appends those of a mapping: first what it merges in, the nearest last,
// so that its own count, and of equal ones the last.
func (r *yamlReader) members(to *[]Member, n *yaml.Node, depth, merges int) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode || merges > maxYAMLMerges {
		return r.fail()
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k, v := n.Content[i], n.Content[i+1]; k.Kind == yaml.ScalarNode && k.Tag == "!!merge" {
			if v.Kind == yaml.SequenceNode {
				merged = append(merged, v.Content...)
			} else {
				merged = append(merged, v)
			}
		}
	}
	for i := len(merged) - 1; i >= 0; i-- {
		if err := r.members(to, merged[i], depth, merges+1); err != nil {
			return err
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind == yaml.ScalarNode && k.Tag == "!!merge" {
			continue
		}
		key, err := r.key(k)
		if err != nil {
			return err
		}
		v, err := r.value(n.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		*to = append(*to, Member{String(key), v})
	}
	return nil
}

// maxYAMLMerges bounds how deep mappings merge one another.
const maxYAMLMerges = 64

// key returns the text of a mapping's key.
func (r *yamlReader) key(n *yaml.Node) (string, error) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	x, err := r.decode(n)
	if err != nil {
		return "", err
	}
	switch x := x.(type) {
	case string:
		return x, nil
	case bool:
		return strconv.FormatBool(x), nil
	case int:
		return strconv.Itoa(x), nil
	case int64:
		return strconv.FormatInt(x, 10), nil
	case uint64:
		return strconv.FormatUint(x, 10), nil
	case float64:
		switch {
		case math.IsInf(x, 1):
			return ".inf", nil
		case math.IsInf(x, -1):
			return "-.inf", nil
		case math.IsNaN(x):
			return ".nan", nil
		}
		return strconv.FormatFloat(x, 'g', -1, 32), nil
	}
	return "", r.fail()
}

// decode returns what the library takes a scalar for; an untagged timestamp is
// a text.
func (r *yamlReader) decode(n *yaml.Node) (any, error) {
	if n.Kind != yaml.ScalarNode {
		return nil, r.fail()
	}
	c := yaml.Node{Kind: yaml.ScalarNode, Tag: n.Tag, Style: n.Style, Value: n.Value}
	if c.Tag == "!!timestamp" && c.Style == 0 {
		c.Tag = "!!str"
	}
	var x any
	if err := c.Decode(&x); err != nil {
		return nil, r.fail()
	}
	return x, nil
}

func (r *yamlReader) scalar(n *yaml.Node) (Value, error) {
	x, err := r.decode(n)
	if err != nil {
		return Value{}, err
	}
	switch x := x.(type) {
	case nil:
		return Null, nil
	case bool:
		return Bool(x), nil
	case string:
		return String(strings.ToValidUTF8(x, "\ufffd")), nil
	case int:
		return Int(int64(x)), nil
	case int64:
		return Int(x), nil
	case uint64:
		return textNumber(strconv.FormatUint(x, 10)), nil
	case float64:
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return Value{}, r.fail()
		}
		return jsonFloat(x), nil
	}
	return Value{}, r.fail() // such as an explicit timestamp
}

// jsonFloat returns f with the text that encoding/json gives it.
func jsonFloat(f float64) Value {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	text := strconv.FormatFloat(f, format, -1, 64)
	if n := len(text); format == 'e' && n >= 4 && text[n-4:n-1] == "e-0" {
		text = text[:n-2] + text[n-1:]
	}
	return textNumber(text)
}
