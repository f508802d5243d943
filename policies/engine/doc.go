// Package engine evaluates compiled Rego policies without OPA.
//
// A policy is compiled elsewhere, by policies/compile, into a program. [Load]
// decodes and checks it; a [VM] of the [Program] answers questions: [VM.Begin] a
// decision about an input, then [VM.Eval] one entrypoint or several, which share
// what they have in common. [VM.AppendRules] says which rules made the answer, and
// [VM.Trace] is told each step, if the program was compiled for that.
//
// The package is pure Go without reflection on the hot path, imports nothing of
// OPA, and is small enough to be linked into a WebAssembly module. It means what
// OPA means: docs/conformance.md and docs/results/engine.md say how that is known.
// With the build tag lean it leaves out builtins that link much; a program that
// needs one of them then is not loaded.
//
// [Value] is the JSON and Rego value that goes in and comes out. [ParseJSON]
// reads one strict JSON text straight into it; a [JSONReader] does so again and
// again without allocating.
//
// # Failure
//
// Nothing here panics on any input, nor on any program. Every bound that is
// exceeded, and every error a policy runs into, is an error value; a caller that
// decides by it must refuse. So it must when a value is undefined.
//
// # Stability
//
// What is exported keeps its meaning; it may grow. [Image], [Instr], [Op] and what
// belongs to them are for compilers and follow the program format, whose version
// is in every program: Load refuses every other one, so programs are compiled
// anew when it changes, and are not kept as the only form of a policy.
package engine
