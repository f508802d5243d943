// Package host runs a [filter.Plugin] in a proxy-wasm VM. It is the only code
// that knows that interface: ABI 0.2.1 of proxy-wasm, which Higress calls
// 0.2.100. Outside of wasm nothing calls it.
//
// # Failure
//
// Every callback denies on a panic and on an error. A configuration that can't
// be used never takes a listener down: the last good one stays in force, or
// everything is denied while there is none. What a host returns is taken only
// from where it was told to put it.
package host
