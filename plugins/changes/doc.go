// Package changes is the wire contract between a gateway and its Manager: how a
// gateway asks for what changed, and how it knows that an answer is the
// Manager's, is whole, and is to this very question.
//
// # Exchange
//
// A gateway keeps one request open at a time:
//
//	GET /gateway/v1/changes?since=EPOCH.GENERATION&wait=SECONDS&cursor=CURSOR&instance=ID&for=gate
//	authorization: Bearer kwg_…
//	keyward-nonce: NONCE
//
// since says which state is in force on all threads of the instance, and so
// confirms it; without one it has nothing. An instance is what shares the data
// that a poll brings: one plugin in one process. The answer is 200 with a
// page in the form of [keyward/plugins/snapshot], with what the audience behind
// for= uses and nothing else, or 204 when nothing changed
// for wait seconds: what the gateway has is still the present state.
//
// A page with a cursor is followed by another, which is asked for with that
// cursor and the same since. The last page has none.
//
// # One state
//
// All pages of an answer are read in one transaction. Only the last is marked
// consistent: a gateway must show none of them before it. What is marked
// consistent is, with the pages before it, a state that existed.
//
// # Signature
//
// Each answer of 200 and 204 carries an Ed25519 signature (RFC 8032) by the
// Manager's key over the question with its nonce and the answer. An answer that
// was altered, or given to another question, another gateway or at another time,
// does not verify.
package changes
