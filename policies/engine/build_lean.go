//go:build lean

package engine

// wideBuiltins are none: a lean build has leanBuiltins alone.
func wideBuiltins() [][]builtin { return nil }

// caches keep nothing, as there are no patterns.
type caches struct{}

// A lean build has no numbers beyond int64 to calculate with: math/big and what
// it links cost a plugin 0.6 MB. Numbers of any size are still read, compared and
// written; to calculate with one ends the evaluation, and so denies.

func (vm *VM) arithWide(op operation, a []Value) (Value, error) {
	if y, ok := a[1].Int(); ok && y == 0 && (op == opDiv || op == opRem) {
		return Value{}, failing(op.String(), "divide by zero")
	}
	return Value{}, errWide(op.String())
}

func (vm *VM) roundWide(op operation, _ Value) (Value, error) { return Value{}, errWide(op.String()) }

func (vm *VM) formatWide(Value, int) (Value, error) { return Value{}, errWide("format_int") }

func (vm *VM) foldWide(name string, _ operation, _ []Value, _ int64) (Value, error) {
	return Value{}, errWide(name)
}

// errWide ends the evaluation, unlike other failures of a builtin: a rule must
// not become undefined for a reason that OPA does not know.
func errWide(name string) error {
	return &Error{Code: ErrLean, Message: name + ": the number is no 64-bit integer, and this build is lean"}
}
