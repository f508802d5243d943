// Package snapshot is all that a gateway needs to know at one generation:
// targets, consumers with their grants, sealed credentials and the policy
// program; and the deltas that lead from one generation to the next.
//
// It does no I/O and runs natively and in wasm. There is no secret in it: tokens
// are SHA-256 digests, credentials are HPKE ciphertexts.
package snapshot
