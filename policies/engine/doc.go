// Package engine evaluates compiled Rego policies without OPA.
//
// A policy is compiled elsewhere into a [Program]; this package decodes it,
// checks it and runs it. It is pure Go without reflection on the hot path, and
// small enough to be linked into a WebAssembly module.
//
// [Value] is the JSON and Rego value that goes in and comes out. [ParseJSON]
// reads one strict JSON text straight into it.
//
// # Failure
//
// Nothing here panics on any input. Every bound that is exceeded, and every
// error a policy runs into, is an error value; a caller that decides by it
// must refuse.
package engine
