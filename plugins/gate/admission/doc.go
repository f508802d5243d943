// Package admission is the gate: it finds out who sends a request and what it
// is for, asks the policy, and lets the request go on or answers it itself. It
// reads hostile bytes and never holds a key.
//
// The stream's callbacks only translate; everything they decide with is a pure
// function of the request, the configuration and the clock, so that it runs
// natively, on wazero and in Envoy alike.
//
// # Failure
//
// Whatever can't be read or decided is denied with a reason code.
package admission
