// Package audit proves the Manager's log: it signs checkpoints of its Merkle
// tree (RFC 6962), proves that an entry is in a checkpoint and that one
// checkpoint continues another, exports the log, and verifies an export without
// trusting who made it.
//
// A signature says what the log was at some time. Whoever can write to the
// database can't make another log fit to it; and who also has the key can't make
// it fit to a checkpoint that somebody else keeps, such as a Matrix room.
package audit
