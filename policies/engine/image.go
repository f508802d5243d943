package engine

// An Op is what an instruction does. Where it may be undefined, it then goes
// on at T.
type Op uint8

// The operations. dst, reg: a register; val: a register when 0 or more, else
// the constant ^val; slot: a loop's place in the frame.
const (
	OpReturn       Op = iota // return val A
	OpResult                 // add val A to the results of a query
	OpResults                // dst A = array of the results
	OpJump                   // go to T
	OpMove                   // dst A = val B
	OpReset                  // dst A = undefined
	OpAssignOnce             // dst A = val B; an error when A has another value
	OpDot                    // dst A = val B [ val C ]
	OpEqual                  // A == B
	OpNotEqual               // A != B
	OpIsArray                // val A is an array
	OpIsObject               // val A is an object
	OpIsSet                  // val A is a set
	OpIsDefined              // val A is defined
	OpIsUndefined            // val A is undefined
	OpArray                  // dst A = new array with room for B
	OpObject                 // dst A = new object
	OpSet                    // dst A = new set
	OpAppend                 // array reg A gets val B
	OpAdd                    // set reg A gets val B
	OpInsert                 // object reg A gets val B: val C
	OpInsertOnce             // the same; an error when B has another value
	OpMerge                  // dst C = val A merged with val B; A wins
	OpLen                    // dst A = number of elements of val B
	OpScan                   // start loop slot A over val B
	OpNext                   // next key dst B and value dst C of loop slot A; T at its end
	OpCall                   // dst A = function B (operands at C)
	OpBuiltin                // dst A = builtin B (operands at C)
	OpCallDynamic            // dst A = function named by operands at B; T when there is none, C when it is undefined
	OpUpsert                 // reg A gets val B at the path of strings at C
	OpDecide                 // rule B decides, with A: which entrypoint's function
	OpList                   // dst A = array of the values at C
	OpPath                   // dst A = val B [ each of the strings at C ]
	OpPathEqual              // val A == val B [ each of the strings at C ]
	OpIn                     // val A is a value of the collection val B
	OpLess                   // A < B
	OpLessEqual              // A <= B
	OpIsCollection           // val A is an array, object or set
	OpTest                   // builtin B (operands at C) is not false
	OpCallTest               // function B (operands at C) is not false
	OpSwitch                 // go to the first case of the table at B, in the order of the code, that val A equals
	OpStep                   // tell step A, about val B, with the values at C
	opCount
)

// An Instr is one instruction.
type Instr struct {
	Op      Op
	A, B, C int32
	T       int32 // where to go on when undefined, an index into the code
}

// A Loc is where in the Rego source an instruction comes from.
type Loc struct{ File, Row int32 }

// A RuleRef is a rule as it is written, for those that decide.
type RuleRef struct {
	File, Row int32
	Title     string // of its METADATA, or ""
}

// A Function is a rule, a Rego function or an entrypoint.
type Function struct {
	Path   []string // how a dynamic call finds it; nil when none can
	Start  int32    // of its code
	End    int32    // of its code, exclusive
	Params int32    // registers 0 to Params-1 are its arguments; the first are input and data
	Regs   int32    // registers
	Slots  int32    // loops that are open at a time
	Decide int32    // 1 + its number among the functions behind entrypoints, or 0
}

// A BuiltinRef is a builtin that the program calls.
type BuiltinRef struct {
	Name  string
	Arity int32
}

// An EntrypointRef names the function that an entrypoint runs.
type EntrypointRef struct {
	Name   string
	Func   int32
	Decide int32 // as that of the function that makes its result
}

// An Image is what a [Program] consists of, for whoever makes one.
type Image struct {
	Consts      []Value
	Data        Value // the base document; an object
	Files       []string
	Rules       []RuleRef
	Builtins    []BuiltinRef
	Funcs       []Function
	Entrypoints []EntrypointRef
	Operands    []int32 // lists of operands
	Code        []Instr
	Locs        []Loc // one for each instruction
}

// field says what a field of an instruction means.
type field uint8

const (
	unused field = iota
	reg
	val
	fnIndex
	builtinIndex
	operands // of a call: as many as it has parameters
	path     // of strings: their number, then as many constants
	dynamic  // a path's number of operands, input, data, and its operands
	slot
	target
	size
	decideIndex
	ruleIndex
	values // their number, then as many operands
	step
	cases // of a switch: number of cases, path or -1, and for each a target and a constant, in order
)

type shape struct{ a, b, c, t field }

var shapes = [opCount]shape{
	OpReturn:      {a: val},
	OpResult:      {a: val},
	OpResults:     {a: reg},
	OpJump:        {t: target},
	OpMove:        {a: reg, b: val},
	OpReset:       {a: reg},
	OpAssignOnce:  {a: reg, b: val},
	OpDot:         {a: reg, b: val, c: val, t: target},
	OpEqual:       {a: val, b: val, t: target},
	OpNotEqual:    {a: val, b: val, t: target},
	OpIsArray:     {a: val, t: target},
	OpIsObject:    {a: val, t: target},
	OpIsSet:       {a: val, t: target},
	OpIsDefined:   {a: val, t: target},
	OpIsUndefined: {a: val, t: target},
	OpArray:       {a: reg, b: size},
	OpObject:      {a: reg},
	OpSet:         {a: reg},
	OpAppend:      {a: reg, b: val},
	OpAdd:         {a: reg, b: val},
	OpInsert:      {a: reg, b: val, c: val},
	OpInsertOnce:  {a: reg, b: val, c: val},
	OpMerge:       {a: val, b: val, c: reg},
	OpLen:         {a: reg, b: val, t: target},
	OpScan:        {a: slot, b: val, t: target},
	OpNext:        {a: slot, b: reg, c: reg, t: target},
	OpCall:        {a: reg, b: fnIndex, c: operands, t: target},
	OpBuiltin:     {a: reg, b: builtinIndex, c: operands, t: target},
	OpCallDynamic: {a: reg, b: dynamic, c: target, t: target},
	OpUpsert:      {a: reg, b: val, c: path},
	OpDecide:      {a: decideIndex, b: ruleIndex},

	OpList:         {a: reg, c: values},
	OpPath:         {a: reg, b: val, c: path, t: target},
	OpPathEqual:    {a: val, b: val, c: path, t: target},
	OpIn:           {a: val, b: val, t: target},
	OpLess:         {a: val, b: val, t: target},
	OpLessEqual:    {a: val, b: val, t: target},
	OpIsCollection: {a: val, t: target},
	OpTest:         {b: builtinIndex, c: operands, t: target},
	OpCallTest:     {b: fnIndex, c: operands, t: target},
	OpSwitch:       {a: val, b: cases, t: target},
	OpStep:         {a: step, b: val, c: values},
}

// Jumps reports whether o may go on at T.
func (o Op) Jumps() bool { return o < opCount && shapes[o].t == target }
