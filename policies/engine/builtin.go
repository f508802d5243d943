package engine

import (
	"slices"
	"sync"
)

// A builtin is a function that every policy can call. It gets as many operands
// as it has arity, each of them defined, and returns undefined where it has no
// result. It charges the VM for work that grows with its operands.
type builtin struct {
	name  string
	arity int
	call  func(vm *VM, args []Value) (Value, error)
}

// builtins is every builtin by name. It is made when it is first asked for, not
// at start: what only reads JSON with this package then links no builtin. So a
// group whose entries are made by calls is a function, not a variable.
func builtins() map[string]builtin {
	table.Do(func() {
		table.m = map[string]builtin{}
		for _, group := range slices.Concat(leanBuiltins(), wideBuiltins()) {
			for _, b := range group {
				table.m[b.name] = b
			}
		}
	})
	return table.m
}

var table struct {
	sync.Once
	m map[string]builtin
}

// leanBuiltins are those of every build, a file for each group. What a build has
// beside them is for wideBuiltins to say.
func leanBuiltins() [][]builtin {
	return [][]builtin{
		comparisonBuiltins, numberBuiltins, aggregateBuiltins, collectionBuiltins, objectBuiltins,
		stringBuiltins, typeBuiltins(), encodingBuiltins, clockBuiltins, walkBuiltins, traceBuiltins,
	}
}

var clockBuiltins = []builtin{
	{"time.now_ns", 0, func(vm *VM, _ []Value) (Value, error) { return Int(vm.now), nil }},
}

// traceBuiltins note something for an explanation.
var traceBuiltins = []builtin{
	{"trace", 1, func(vm *VM, a []Value) (Value, error) {
		text, err := strOperand("trace", a, 0)
		if err == nil {
			vm.note(text)
		}
		return Bool(true), err
	}},
}

// Builtins returns names and arities of all that programs may call.
func Builtins() map[string]int {
	names := map[string]int{}
	for name, b := range builtins() {
		names[name] = b.arity
	}
	return names
}

// LeanBuiltins returns names and arities of what programs may call in every
// build, also in one with the tag lean.
func LeanBuiltins() map[string]int {
	names := map[string]int{}
	for _, group := range leanBuiltins() {
		for _, b := range group {
			names[b.name] = b.arity
		}
	}
	return names
}

// A failure is the error of a builtin. Unless strict, it only makes the
// expression undefined.
type failure struct {
	code    ErrorCode
	message string
}

func (f failure) Error() string { return f.message }

// wrongType is the failure of a builtin whose operand is of a kind it does not
// take.
func wrongType(name string, operand int, want string) error {
	return failure{ErrType, name + ": operand " + string(rune('0'+operand)) + " must be " + want}
}

// failing is the failure of a builtin for any other reason.
func failing(name, message string) error { return failure{ErrBuiltin, name + ": " + message} }

// conflict is an error that ends the evaluation, strict or not.
func conflict(message string) error { return &Error{Code: ErrConflict, Message: message} }

// errLimits ends an evaluation: the VM finds out which limit it was.
var errLimits = &Error{}

func (vm *VM) builtin(regs []Value, in *Instr) (Value, error) {
	b := &vm.prog.builtins[in.B]
	args := vm.args[:0]
	consts := vm.prog.image.Consts
	vm.operands = vm.prog.image.Operands[in.C : in.C+int32(b.arity)]
	for _, x := range vm.operands {
		v := operand(consts, regs, x)
		if v.isCollector() {
			v = vm.read(v)
		}
		if v.IsUndefined() {
			return Value{}, nil
		}
		args = append(args, v)
	}
	vm.args = args
	v, err := b.call(vm, args)
	if v.size() > maxResultSize {
		vm.memory = -1
		return Value{}, errLimits
	}
	return v, err
}

// failed turns the error of a builtin into what becomes of the evaluation.
func (vm *VM) failed(err error, pc int32) (Value, error) {
	if e := vm.overdrawn(pc); e != nil {
		return Value{}, e
	}
	switch e := err.(type) {
	case failure:
		if vm.strict && vm.fault == nil {
			vm.fault = vm.stop(pc, e.code, e.message)
		}
		return Value{}, nil
	case *Error:
		return Value{}, vm.stop(pc, e.Code, e.Message)
	}
	return Value{}, vm.stop(pc, ErrBuiltin, err.Error())
}
