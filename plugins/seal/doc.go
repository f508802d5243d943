// Package seal closes a credential so that only the gateway's key-swap plugin
// can open it: HPKE (RFC 9180) in base mode with MLKEM768-X25519, HKDF-SHA256 and
// AES-256-GCM, as the standard library has it. Package unseal is the other half.
//
// The key encapsulation is the hybrid one because ciphertexts lie in stores and
// backups for years: who copies them now shall not open them with a quantum
// computer later. Its price is a public key of 1.2 KB and about 2 ms for opening
// in a plugin, once per VM and credential version.
//
// # What is bound
//
// A [Binding] is authenticated with the ciphertext: the credential's ID and
// version, and the hosts and clusters it may be sent to. Who can write the store,
// but has no gateway key, can therefore not move a ciphertext to another
// credential, pass an old version off as a new one, or send a key to a host that
// it was not enrolled for. Base mode does not tell who sealed: such a writer can
// put a key of his own in place of a credential, or delete it. And he can still
// choose which consumers get to use a credential, and in which header or
// parameter it is sent to its own hosts.
package seal
