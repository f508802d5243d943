// Package link makes a plugin binary of the Go toolchain one that Higress and
// Envoy both load, and says what it needs from its host and offers to it.
//
// It reads WebAssembly core modules, version 1 (https://webassembly.github.io/spec/core/binary/),
// as far as imports, exports and their types go. Every length is checked before
// it is used, and whatever is not understood is an error.
package link
