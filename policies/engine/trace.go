package engine

// A Step is what happened at one point of an evaluation.
type Step uint8

// The steps.
const (
	StepEnter Step = iota // a body of a rule or function begins; Text is its name
	StepEval              // an expression begins; Text is its own
	StepFail              // an expression does not hold with Values
	StepRedo              // an expression has a next value to try
	StepExit              // the body gave Values
	StepNote              // the policy called trace; Text is what it says
	stepCount
)

// String returns the name that opa's explanations have for s.
func (s Step) String() string {
	if s < stepCount {
		return stepNames[s]
	}
	return "Unknown"
}

var stepNames = [stepCount]string{"Enter", "Eval", "Fail", "Redo", "Exit", "Note"}

// An Event is one step of an evaluation, where it happened.
type Event struct {
	Step Step
	Location
	Text   string
	Values []Value // undefined where there is none
	Depth  int     // of rules and functions in progress, from 1
}

// Trace sets the function that is told each step, nil for none. Only programs
// compiled to be traced have steps, but for notes. A step counts as an instruction.
func (vm *VM) Trace(tell func(Event)) { vm.tell = tell }

// step tells the step that in stands for.
func (vm *VM) step(regs []Value, in *Instr, pc int32) {
	if vm.tell == nil {
		return
	}
	ops := vm.prog.image.Operands[in.C:]
	values := make([]Value, ops[0])
	for i := range values {
		values[i] = vm.val(regs, ops[1+i])
	}
	vm.at = vm.prog.location(pc)
	e := Event{Step: Step(in.A), Location: vm.at, Values: values, Depth: len(vm.frames)}
	e.Text, _ = vm.val(regs, in.B).Str()
	vm.tell(e)
}

// note tells a note of the policy's.
func (vm *VM) note(text string) {
	if vm.tell != nil {
		vm.tell(Event{Step: StepNote, Location: vm.at, Text: text, Depth: len(vm.frames)})
	}
}
