package engine

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
)

// A maker makes a program of whatever a fuzzer gives it. Other than in bytes that
// are changed at random, nearly all that it makes is valid, so that instructions
// meet values, jumps and calls that no compiler would make.
type maker struct {
	b        []byte
	m        Image
	texts    []int32 // operands of the constants that are strings
	builtins []string
}

func (k *maker) next(n int) int32 {
	if len(k.b) == 0 || n <= 0 {
		return 0
	}
	x := int(k.b[0])
	k.b = k.b[1:]
	return int32(x % n)
}

// hostileConsts are in sort order as far as a switch may take them.
func hostileConsts() []Value {
	list := []Value{
		Null, Bool(false), Bool(true), Int(-1), Int(0), Int(1), Int(1 << 40),
		String(""), String("a"), String("b"), String("a(b|c)*"), String("%d"), String("é"),
	}
	for _, text := range []string{"[]", `[1,"a",[2]]`, "{}", `{"a":{"b":[1,2]},"b":"a"}`, "1e400", "0.5", "123456789012345678901234567890"} {
		v, err := ParseJSON([]byte(text), JSONLimits{})
		if err != nil {
			panic(err)
		}
		list = append(list, v)
	}
	return append(list, Set([]Value{Int(1), String("a")}), Set(nil))
}

const scalars = 13 // of hostileConsts

func hostileImage(b []byte) Image {
	k := maker{b: b}
	k.m.Consts = hostileConsts()
	for i, v := range k.m.Consts {
		if v.Kind() == KindString {
			k.texts = append(k.texts, ^int32(i))
		}
	}
	k.m.Data, k.m.Files, k.m.Rules = k.m.Consts[16], []string{"p.rego"}, []RuleRef{{Row: 1}, {Row: 2, Title: "two"}}
	k.builtins = slices.Sorted(maps.Keys(Builtins()))
	for _, name := range k.builtins {
		k.m.Builtins = append(k.m.Builtins, BuiltinRef{name, int32(Builtins()[name])})
	}
	k.m.Funcs = make([]Function, 1+k.next(4))
	for i := range k.m.Funcs {
		k.m.Funcs[i] = Function{Params: 2 + k.next(3)*min(int32(i), 1), Regs: 8, Slots: 2, Decide: k.next(2)}
		if k.next(2) == 1 {
			k.m.Funcs[i].Path = []string{"a", "b"}[:1+k.next(2)]
		}
	}
	start := int32(0)
	for i := range k.m.Funcs {
		f := &k.m.Funcs[i]
		f.Start, f.End = start, start+2+k.next(24)
		start = f.End
		for pc := f.Start; pc < f.End; pc++ {
			k.instruction(f, pc == f.End-1)
		}
	}
	k.m.Entrypoints = []EntrypointRef{{"p", 0, k.m.Funcs[0].Decide}}
	return k.m
}

func (k *maker) instruction(f *Function, last bool) {
	in := Instr{Op: Op(k.next(int(opCount)))}
	if last || in.Op == OpDecide && f.Decide == 0 {
		in.Op = OpReturn
	}
	s := shapes[in.Op]
	in.B = k.field(f, &in, s.b) // others depend on it
	in.A, in.C, in.T = k.field(f, &in, s.a), k.field(f, &in, s.c), k.field(f, &in, s.t)
	k.m.Code = append(k.m.Code, in)
	k.m.Locs = append(k.m.Locs, Loc{Row: 1})
}

func (k *maker) value() int32 {
	if k.next(3) > 0 {
		return k.next(8)
	}
	return ^k.next(len(k.m.Consts))
}

// list stores n operands behind head.
func (k *maker) list(n int32, one func() int32, head ...int32) int32 {
	at := int32(len(k.m.Operands))
	k.m.Operands = append(k.m.Operands, head...)
	for range n {
		k.m.Operands = append(k.m.Operands, one())
	}
	return at
}

func (k *maker) text() int32 { return k.texts[k.next(len(k.texts))] }

func (k *maker) path() int32 {
	n := 1 + k.next(3)
	return k.list(n, k.text, n)
}

func (k *maker) field(f *Function, in *Instr, kind field) int32 {
	switch kind {
	case reg:
		return k.next(8)
	case val:
		return k.value()
	case fnIndex:
		return k.next(len(k.m.Funcs))
	case builtinIndex:
		return k.next(len(k.m.Builtins))
	case operands:
		if in.Op == OpCall || in.Op == OpCallTest {
			return k.list(k.m.Funcs[in.B].Params, k.value)
		}
		return k.list(k.m.Builtins[in.B].Arity, k.value)
	case path:
		return k.path()
	case values:
		n := k.next(4)
		return k.list(n, k.value, n)
	case cases:
		return k.cases(f)
	case dynamic:
		n := k.next(3)
		return k.list(n+2, k.value, n)
	case slot:
		return k.next(2)
	case target:
		return f.Start + k.next(int(f.End-f.Start))
	case size:
		return k.next(4)
	case step:
		return k.next(int(stepCount))
	case decideIndex:
		return f.Decide
	case ruleIndex:
		return k.next(2)
	}
	return 0
}

func (k *maker) cases(f *Function) int32 {
	at := int32(-1)
	if k.next(2) == 1 {
		at = k.path()
	}
	n, first := k.next(4), k.next(scalars-4)
	table := k.list(0, nil, n, at)
	for i := range n {
		k.m.Operands = append(k.m.Operands, f.Start+k.next(int(f.End-f.Start)), ^(first + i))
	}
	return table
}

// FuzzInstructions runs valid programs that no compiler makes: they end within
// their limits, twice in the same way, and give no more than ordinary values.
func FuzzInstructions(f *testing.F) {
	input, err := ParseJSON([]byte(`{"a":{"a":1,"b":["a",{"b":null}]},"b":"a(b|c)*","é":[1,2,3,4]}`), JSONLimits{})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "\x03\x01\x01\x01\x02\x00\x01\x01", "run a program of these letters, whatever they may mean"} {
		f.Add([]byte(seed))
	}
	text, err := os.ReadFile("testdata/found-instructions.json") // of a long run
	if err != nil {
		f.Fatal(err)
	}
	var found [][]byte
	if err := json.Unmarshal(text, &found); err != nil {
		f.Fatal(err)
	}
	for _, b := range found {
		f.Add(b)
	}
	for op := range byte(opCount) {
		f.Add([]byte{1, 0, 1, 1, 0, 20, op, 2, 3, 4, 5, 6, 7, op, 0, 1, 1, 2, 2, 25, 3, 26, 4, op, 5, 6, 1})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		image := hostileImage(b)
		program, err := image.Encode()
		if err != nil {
			return
		}
		p, err := Load(program)
		if err != nil {
			t.Fatal("what can be encoded can't be loaded:", err)
		}
		e, _ := p.Entrypoint("p")
		vm := p.NewVM(Limits{Instructions: 5_000, Memory: 1 << 20, Depth: 32, Output: 1 << 12})
		vm.Trace(func(e Event) {
			for _, v := range e.Values {
				ordinary(t, v)
			}
		})
		first, firstErr := hostileEval(t, vm, e, input)
		again, againErr := hostileEval(t, vm, e, input)
		if first != again || firstErr != againErr {
			t.Errorf("%s %s, and then %s %s", first, firstErr, again, againErr)
		}
	})
}

func hostileEval(t *testing.T, vm *VM, e Entrypoint, input Value) (string, ErrorCode) {
	vm.Begin(input, 1)
	v, err := vm.Eval(e)
	if vm.AppendRules(nil); err == nil {
		ordinary(t, v)
		return v.String(), ""
	}
	var stopped *Error
	if !errors.As(err, &stopped) {
		t.Fatalf("%v is no *Error", err)
	}
	return "", stopped.Code
}

func ordinary(t *testing.T, v Value) {
	if v.isCollector() {
		t.Fatal("a value that still grows")
	}
	for k, e := range v.All() {
		if k.IsUndefined() || e.IsUndefined() {
			t.Fatal("an undefined element")
		}
		ordinary(t, k)
		ordinary(t, e)
	}
}

// TestNothingIsMadeOfWhatIsUndefined runs what no compiler makes: it puts a register
// that was never set into a collection.
func TestNothingIsMadeOfWhatIsUndefined(t *testing.T) {
	const made, unset, name = 2, 3, ^0
	for _, code := range [][]Instr{
		{{Op: OpArray, A: made}, {Op: OpAppend, A: made, B: unset}},
		{{Op: OpSet, A: made}, {Op: OpAdd, A: made, B: unset}},
		{{Op: OpObject, A: made}, {Op: OpInsert, A: made, B: name, C: unset}},
		{{Op: OpObject, A: made}, {Op: OpInsert, A: made, B: unset, C: name}},
		{{Op: OpObject, A: made}, {Op: OpInsertOnce, A: made, B: name, C: unset}},
		{{Op: OpList, A: made, C: 0}},
		{{Op: OpMove, A: made, B: 0}, {Op: OpUpsert, A: made, B: unset, C: 2}},
		{{Op: OpResult, A: unset}, {Op: OpResults, A: made}},
	} {
		code = append(code, Instr{Op: OpReturn, A: made})
		image := Image{
			Consts: []Value{String("a")}, Data: emptyObject, Operands: []int32{1, unset, 1, name}, Code: code, Locs: make([]Loc, len(code)),
			Funcs: []Function{{End: int32(len(code)), Params: 2, Regs: 4}}, Entrypoints: []EntrypointRef{{Name: "p"}},
		}
		vm, e := machine(t, &image)
		vm.Begin(emptyObject, 0)
		var stopped *Error
		if v, err := vm.Eval(e); !errors.As(err, &stopped) || stopped.Code != ErrType {
			t.Errorf("%v: %v, %v", code, v, err)
		}
	}
}
