// Package live is the gateway's side of the live channel: one VM of a process
// fetches changes from the Manager and writes them into shared data; every VM
// reads there what a request needs, entry by entry.
//
// # Shared form
//
// Each audience has a space of its own. There is one key for the state, for each consumer, credential and target, for
// each token's digest, for the list of targets, for the policy and for the session
// key. An entry
// holds up to two versions, each of one life and generation. The state names
// the life and the generation that are in force, and is written last: a reader
// takes an entry's newest version that is of that life and not beyond that
// generation. So a change is seen whole or not at all, however it is
// interrupted.
//
// A life begins with a whole snapshot and is drawn by lot: what an interrupted
// writer left behind is of another life and never read.
//
// # Trust
//
// Every plugin with the same vm_id can write shared data. Each value carries a
// MAC under a key derived from the gateway token, over its key and all of the
// value, which is checked once per VM and version of the value. So nobody
// without the token can make up an entry or move one. Somebody who writes shared
// data can put back an entry's former value; a VM refuses a state that is older
// than one it has seen. A vm_id of its own keeps others out altogether.
//
// # Failure
//
// What can't be read or verified is not there, and a state that is missing, not
// authentic or too old denies everything.
package live
