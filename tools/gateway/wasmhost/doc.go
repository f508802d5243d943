// Package wasmhost runs proxy-wasm plugins on wazero as filters of a
// [keyward/tools/gateway/chain], with the semantics of Envoy 1.40.
//
// A [Host] has workers, each with VMs of its own, like Envoy's worker threads:
// what a plugin keeps in memory is per worker, what it keeps in shared data is
// per vm_id. One more worker, the main one, gets each configuration first and
// serves no request. A VM runs one call at a time; while a stream waits for its
// body, its upstream or a callout, its VM serves others.
//
// # Strictness
//
// What a plugin does wrong is a [chain.Fault], also where Envoy would put up
// with it. A fault in a stream denies that stream.
//
// # Bounds
//
// A call that never returns keeps its worker busy for ever, as in Envoy. Memory
// is bounded per VM; a VM that traps is dead, its streams get status 503. V8
// allows fewer nested calls than wazero does, so a depth that passes here may
// still trap in Envoy.
package wasmhost
