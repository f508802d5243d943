// Package unseal is the half of sealing that key-swap has: it opens what package
// seal closed. It is HPKE (RFC 9180) in base mode with MLKEM768-X25519 (X-Wing),
// HKDF-SHA256 and AES-256-GCM.
//
// It is a package of its own, on the primitives of the standard library, because
// importing crypto/hpke links every NIST curve into a plugin: half a megabyte of
// its four. Sealing is crypto/hpke itself, and tests open with both.
package unseal
