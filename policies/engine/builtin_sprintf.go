//go:build !lean

package engine

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

var formatBuiltins = []builtin{
	{"sprintf", 2, sprintf},
	{"internal.template_string", 1, templateString},
}

func sprintf(vm *VM, a []Value) (Value, error) {
	format, err := strOperand("sprintf", a, 0)
	if err != nil {
		return Value{}, err
	}
	elems, err := arrayOf("sprintf", a, 1)
	if err != nil {
		return Value{}, err
	}
	if b, ok := plainFormat(vm.draft(), format, elems, vm.memory); ok {
		if !vm.alloc(len(b)) || !vm.charge(len(b)/64) {
			return Value{}, errLimits
		}
		return vm.written(b), nil
	}
	size := widths(format)
	args := make([]any, len(elems))
	for i, e := range elems {
		switch e.Kind() {
		case KindNumber:
			args[i] = goNumber(e)
			size += len(e.Text())
			if n, ok := e.Int(); ok && strings.Contains(format, "*") {
				size += int(min(max(n, -n, 0), 1e6)) // as a width
			}
		case KindString:
			args[i] = e.str()
			size += len(e.str())
		default:
			text := string(appendRego(nil, e, vm.memory))
			args[i] = text
			size += len(text)
		}
	}
	// One value may be written many times, and each byte as several.
	if verbs := strings.Count(format, "%"); !vm.alloc(size+min(verbs, 1+strings.Count(format, "["))*size/4) || !vm.charge(size/16) {
		return Value{}, errLimits
	}
	return vm.text(fmt.Sprintf(format, args...))
}

// plainFormat appends to out what needs nothing of fmt, as most policies do: strings for
// %s and %v, integers for %d and %v, each given once. It leaves to fmt whatever is
// longer than limit.
func plainFormat(out []byte, format string, elems []Value, limit int) (text []byte, ok bool) {
	next := 0
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out = append(out, format[i])
			continue
		}
		if i++; i == len(format) || next == len(elems) {
			return nil, false
		}
		e := elems[next]
		next++
		switch verb := format[i]; {
		case e.Kind() == KindString && (verb == 's' || verb == 'v') && len(out)+len(e.str()) <= limit:
			out = append(out, e.str()...)
		case e.Kind() == KindNumber && e.p == nil && (verb == 'd' || verb == 'v'):
			n, _ := e.Int()
			out = strconv.AppendInt(out, n, 10)
		default:
			return nil, false
		}
	}
	return out, next == len(elems) && len(out) <= limit
}

// widths returns a bound of what the numbers in a format can make it grow.
func widths(format string) int {
	total, n := len(format), 0
	for i := range len(format) {
		if d := format[i] - '0'; d <= 9 {
			n = min(n*10+int(d), 1e6) // fmt takes no more
			continue
		}
		total += n
		n = 0
	}
	return total + n
}

// goNumber returns n as fmt is to see it: its text decides what it is.
func goNumber(n Value) any {
	text := n.Text()
	if strings.ContainsAny(text, ".eE") {
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return f
		}
		return text
	}
	if i, ok := n.Int(); ok {
		return i
	}
	if i, ok := new(big.Int).SetString(text, 10); ok {
		return i
	}
	return text
}

// templateString joins the parts of a template string: text as it is, values as
// Rego writes them. A part is a set of its values: none is undefined.
func templateString(vm *VM, a []Value) (Value, error) {
	parts, err := arrayOf("internal.template_string", a, 0)
	if err != nil {
		return Value{}, err
	}
	var b []byte
	for _, p := range parts {
		if p.Kind() == KindSet {
			switch p.Len() {
			case 0:
				b = append(b, "<undefined>"...)
				continue
			case 1:
				p = p.Index(0)
			default:
				return Value{}, conflict("template-strings must not produce multiple outputs")
			}
		}
		if s, ok := p.Str(); ok {
			b = append(b, s...)
		} else {
			b = appendRego(b, p, vm.memory)
		}
		if len(b) > vm.memory {
			return Value{}, errLimits
		}
	}
	return vm.text(string(b))
}

// appendRego appends v as Rego writes it. It stops somewhere beyond limit bytes,
// for a caller that refuses so long a text.
func appendRego(dst []byte, v Value, limit int) []byte {
	if len(dst) > limit {
		return dst
	}
	switch v.Kind() {
	case KindString:
		return strconv.AppendQuote(dst, v.str())
	case KindArray:
		dst = append(dst, '[')
		dst = appendRegoElems(dst, v.elems(), limit)
		return append(dst, ']')
	case KindSet:
		if v.Len() == 0 {
			return append(dst, "set()"...)
		}
		dst = append(dst, '{')
		dst = appendRegoElems(dst, v.elems(), limit)
		return append(dst, '}')
	case KindObject:
		dst = append(dst, '{')
		for i, m := range v.members() {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendRego(dst, m.Key, limit)
			dst = append(dst, ": "...)
			dst = appendRego(dst, m.Value, limit)
		}
		return append(dst, '}')
	default:
		return v.appendJSON(dst, false, limit)
	}
}

func appendRegoElems(dst []byte, elems []Value, limit int) []byte {
	for i, e := range elems {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendRego(dst, e, limit)
	}
	return dst
}
