package engine

import (
	"runtime"
	"sync/atomic"
	"unsafe"
)

// Limits bounds one decision. Zero means the default.
type Limits struct {
	Instructions int // default 200,000; work that grows with its operands counts as more than one
	Memory       int // bytes of values made; default 8 MiB
	Depth        int // nested calls; default 128, at most 10,000
	Output       int // bytes of a result, about those of its JSON; default 1 MiB
}

// Defaults and ceiling of [Limits].
const (
	defaultInstructions = 200_000
	defaultMemory       = 8 << 20
	defaultCalls        = 128
	defaultOutput       = 1 << 20
	maxCalls            = 10_000
)

// A VM runs a program. It is reused for many decisions, one at a time: it must
// not be used by two goroutines at once.
type VM struct {
	prog   *Program
	limits Limits
	strict bool
	cancel atomic.Bool

	input Value
	now   int64

	budget int // instructions left
	memory int // bytes left
	err    *Error
	fault  *Error // of a builtin, which a strict evaluation will end with

	regs    []Value
	frames  []frame
	loops   []loop
	worlds  []world
	decided [][]int32 // by function behind an entrypoint, which of its rules gave a result
	asked   int32     // Decide of the entrypoint asked last
	tell    func(Event)
	at      Location // of the last step told

	collectors []*collector
	collecting int // how many of them are in use
	results    []Value
	args       []Value
	operands   []int32 // of the builtin that is called
	room       []Value
	letters    []byte
	caches     caches
}

// A frame is a call in progress.
type frame struct {
	fn    int32
	pc    int32 // of the call it is waiting for
	base  int32 // of its registers
	loops int32 // of its loops
	world int32 // -1 when its result is not kept
}

// A loop is an iteration in progress over a collection.
type loop struct {
	over Value
	next int
}

// A world is the input and data that rules are evaluated with. `with` makes
// new ones; world 0 is that of the decision itself.
type world struct {
	input, data Value
	turn        uint64
	memo        []memo // by function
}

// A memo is the kept result of a rule, valid while the turn is its world's.
type memo struct {
	turn  uint64
	value Value
}

// maxWorlds is how many worlds keep their results at a time.
const maxWorlds = 8

// NewVM returns a VM for p.
func (p *Program) NewVM(l Limits) *VM {
	if l.Instructions <= 0 {
		l.Instructions = defaultInstructions
	}
	if l.Memory <= 0 {
		l.Memory = defaultMemory
	}
	if l.Depth <= 0 {
		l.Depth = defaultCalls
	}
	if l.Output <= 0 {
		l.Output = defaultOutput
	}
	l.Depth = min(l.Depth, maxCalls)
	vm := &VM{prog: p, limits: l, decided: make([][]int32, p.decides+1), worlds: make([]world, 0, maxWorlds)}
	vm.Begin(Value{}, 0)
	return vm
}

// Strict sets whether an error in a builtin is one of the evaluation. As in OPA,
// it makes the expression undefined; only a strict evaluation, which goes on all
// the same, has the first such error in the end instead of a result, or instead of a
// conflict that comes later.
func (vm *VM) Strict(on bool) { vm.strict = on }

// Cancel ends the evaluation in progress, and all until the next Begin, with the
// error code [ErrCancelled]. Unlike everything else it may be called by any
// goroutine, at any time.
func (vm *VM) Cancel() { vm.cancel.Store(true) }

// cancelled costs nothing in WebAssembly, where nobody else runs meanwhile.
func (vm *VM) cancelled() bool { return runtime.GOARCH != "wasm" && vm.cancel.Load() }

// Begin starts one decision about input, which may be undefined, at the time
// now in nanoseconds since 1970. Limits count anew, and results of rules are
// shared by all that is asked until the next Begin.
func (vm *VM) Begin(input Value, now int64) {
	vm.cancel.Store(false)
	vm.input, vm.now = input, now
	vm.budget, vm.memory, vm.err = vm.limits.Instructions, vm.limits.Memory, nil
	vm.fault = nil
	for i := range vm.worlds {
		vm.worlds[i].input, vm.worlds[i].data = Value{}, Value{}
	}
	vm.worlds = vm.worlds[:0]
	vm.enter(input, vm.prog.image.Data)
	for i := range vm.decided {
		vm.decided[i] = vm.decided[i][:0]
	}
	vm.asked = 0
}

// Eval returns the value of e: undefined, the zero Value, when no rule gives
// one. The error is an [*Error]; after one, all that is asked until the next
// Begin has that error.
func (vm *VM) Eval(e Entrypoint) (Value, error) {
	if vm.err == nil && (e.fn <= 0 || int(e.fn) > len(vm.prog.image.Funcs)) {
		vm.err = &Error{Code: ErrUse, Message: "no such entrypoint"}
	}
	if vm.err != nil {
		return Value{}, vm.err
	}
	vm.asked = 0
	if int(e.decide) < len(vm.decided) {
		vm.asked = e.decide
	}
	vm.results, vm.collecting = vm.results[:0], 0
	v, err := vm.run(e.fn - 1)
	if vm.fault != nil && (err == nil || err.Code == ErrConflict) {
		err = vm.fault
	}
	if err == nil && v.Kind() >= KindNumber && v.outputBytes(vm.limits.Output) > vm.limits.Output {
		err = &Error{Code: ErrOutput}
	}
	if err != nil {
		vm.err = err
		return Value{}, err
	}
	return v, nil
}

// outputBytes is about how long v is as JSON; it stops somewhere beyond limit.
func (v Value) outputBytes(limit int) int {
	n := 8
	switch v.Kind() {
	case KindNumber:
		if v.p != nil {
			n += len((*number)(v.p).text)
		}
	case KindString:
		n += len(v.str())
	case KindArray, KindSet:
		for i := 0; i < v.Len() && n <= limit; i++ {
			n += v.elems()[i].outputBytes(limit - n)
		}
	case KindObject:
		for i := 0; i < v.Len() && n <= limit; i++ {
			m := &v.members()[i]
			n += m.Key.outputBytes(limit - n)
			n += m.Value.outputBytes(limit - n)
		}
	}
	return n
}

// AppendRules appends the rules to dst that gave the value Eval returned last, in
// the order they did; none when that was undefined, or in error. It costs next to
// nothing, so that every decision can name them.
func (vm *VM) AppendRules(dst []Rule) []Rule {
	if vm.err != nil {
		return dst
	}
	for _, i := range vm.decided[vm.asked] {
		dst = append(dst, vm.prog.rules[i])
	}
	return dst
}

// enter returns the world of input and data. Worlds are told apart by identity,
// as it costs nothing and `with` always makes new values.
func (vm *VM) enter(input, data Value) int32 {
	for i := range vm.worlds {
		if w := &vm.worlds[i]; same(w.input, input) && same(w.data, data) {
			return int32(i)
		}
	}
	n := len(vm.worlds)
	if n < cap(vm.worlds) {
		vm.worlds = vm.worlds[:n+1]
	} else {
		// Give up the second oldest; world 0 stays, and order does not matter.
		n = 1 + int(vm.worlds[0].turn+uint64(vm.budget))%(cap(vm.worlds)-1)
	}
	w := &vm.worlds[n]
	w.input, w.data = input, data
	w.turn++
	if w.memo == nil {
		w.memo = make([]memo, len(vm.prog.image.Funcs))
	}
	return int32(n)
}

func same(a, b Value) bool { return a.p == b.p && a.m == b.m }

// charge takes n instructions off the budget, for work that is more than one
// step. It reports whether there were that many.
func (vm *VM) charge(n int) bool {
	vm.budget -= n
	return vm.budget >= 0 && !vm.cancelled()
}

// alloc takes n bytes off the memory. It reports whether there were that many.
func (vm *VM) alloc(n int) bool {
	vm.memory -= n
	return vm.memory >= 0 && n >= 0
}

// make returns room for n values that will stay, or nil when memory is out.
func (vm *VM) make(n int) []Value {
	if n < 0 || n > vm.memory/valueBytes || !vm.alloc(n*valueBytes) {
		vm.memory = -1
		return nil
	}
	if n > len(vm.room) {
		vm.room = make([]Value, max(n, 128))
	}
	kept := vm.room[:n:n]
	vm.room = vm.room[n:]
	return kept
}

const valueBytes = int(unsafe.Sizeof(Value{}))

// draft returns an empty text to append to, with some room for it. It costs
// nothing yet: the caller sees to the memory.
func (vm *VM) draft() []byte {
	if cap(vm.letters) < 64 {
		vm.letters = make([]byte, 0, 1<<10)
	}
	return vm.letters
}

// written returns a draft as a string; it must not be appended to any more.
func (vm *VM) written(draft []byte) Value {
	if n := len(draft); cap(draft) == cap(vm.letters) { // not grown out of its room
		vm.letters = vm.letters[n:n:cap(draft)]
	}
	return Value{p: unsafe.Pointer(unsafe.SliceData(draft)), m: uint64(KindString)<<kindShift | uint64(len(draft))}
}

// equal is Value.Equal on account.
func (vm *VM) equal(a, b Value) bool {
	if a.Kind() >= KindString && a.m == b.m && a.p != b.p {
		steps := a.size()
		if a.Kind() == KindString {
			steps = len(a.str()) >> 8
		}
		if !vm.charge(steps) {
			return false
		}
	}
	return a.Equal(b)
}

// maxResultSize bounds the size of values that an evaluation makes, so that
// walking one is never out of proportion to its memory.
const maxResultSize = 1 << 24

// bounded returns v, or undefined and no memory left when v is too large.
func (vm *VM) bounded(v Value) Value {
	if v.size() > maxResultSize {
		vm.memory = -1
		return Value{}
	}
	return v
}
