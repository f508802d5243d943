// Package matrix shows in Matrix what the audit log says, and takes commands
// from there: it keeps a room per Worker, the Manager's room and the shared
// rooms as they should be, fills them from the log, and makes each Worker an
// account whose token goes, sealed, to the gateway.
//
// It is the only importer of a Matrix client.
//
// # Nothing lost, nothing doubled
//
// The log is read in order; what a room shows of it waits in the store's outbox.
// Before a message is sent, the range of entries that it shows is kept. Its
// transaction ID is made from the log, the room and the first of them, so that a
// homeserver that remembers takes the same message once. One that was killed may
// not remember, so where the fate of a message is unknown the room is asked
// first: its newest message of ours says how far it got.
//
// # Secrets
//
// The Manager's own token and the key from which accounts' passwords are made are
// in one file, mode 0600. A Worker's token is in memory until it is sealed. None
// of them is logged: errors of the homeserver are cut to their code.
package matrix
