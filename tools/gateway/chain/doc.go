// Package chain runs an ordered list of filters over one HTTP exchange with the
// semantics of Envoy's HTTP filter manager: a request passes the filters first
// to last, its response last to first, and a filter may hold headers and body.
//
// It does no I/O. A driver feeds a [Stream] what arrives and gives it two
// [Sink]s for what goes out; the same chain serves real traffic and tests.
//
// # Strictness
//
// Where Envoy hangs, asserts or silently does nothing because a filter misused
// its host, a stream records a [Fault] and is denied with status 503, or reset
// when its response has begun. A plugin without faults here behaves alike in
// Envoy.
package chain
