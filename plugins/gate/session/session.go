// Package session binds what a client goes on with, the IDs of MCP sessions and
// of events, to whom the gateway gave them.
//
// A server sees one key for all consumers, so an ID alone is all that it knows a
// session by. The gateway gives a consumer each ID with a MAC before it, over the
// ID, the consumer and the target, and takes it back from that consumer at that
// target alone. Nothing is stored, so that every VM of every gateway with the same
// key can tell.
//
// A bound ID is base64url(MAC) "." ID: visible ASCII wherever the ID is. The same
// ID is always bound alike, as clients compare them.
package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
)

// A Kind is what an ID is of. One kind's never passes for another's.
type Kind byte

// The kinds.
const (
	Session Kind = 's' // Mcp-Session-Id
	Event   Kind = 'e' // id of an event, and Last-Event-ID
)

const (
	macBytes = 16 // nobody can try MACs but at the gateway, one request each
	prefix   = 22 // characters of a MAC
	// Overhead is how much longer a bound ID is.
	Overhead = prefix + len(".")
)

// A Binder binds IDs under one key. It is not safe for concurrent use.
type Binder struct {
	mac  hash.Hash // keyed
	head []byte
	sum  []byte
}

// New returns a binder with this key, of [snapshot.SessionKeyBytes].
func New(key []byte) *Binder { return &Binder{mac: hmac.New(sha256.New, key)} }

// Append appends id as this consumer gets it at this target.
func (b *Binder) Append(out []byte, k Kind, consumer, target string, id []byte) []byte {
	out = base64.RawURLEncoding.AppendEncode(out, b.authenticate(k, consumer, target, id))
	return append(append(out, '.'), id...)
}

// Open returns the ID that was bound for this consumer at this target; false for
// anything else.
func (b *Binder) Open(k Kind, consumer, target, bound string) (id string, ok bool) {
	if len(bound) < Overhead || bound[prefix] != '.' {
		return "", false
	}
	id = bound[Overhead:]
	var want [prefix]byte
	base64.RawURLEncoding.Encode(want[:], b.authenticate(k, consumer, target, []byte(id)))
	if !hmac.Equal(want[:], []byte(bound[:prefix])) {
		return "", false
	}
	return id, true
}

// authenticate is valid until the next one. Lengths before the texts make every
// split of them another message.
func (b *Binder) authenticate(k Kind, consumer, target string, id []byte) []byte {
	b.head = append(b.head[:0], byte(k))
	for _, s := range [...]string{consumer, target} {
		b.head = binary.BigEndian.AppendUint16(b.head, uint16(len(s))) // at most snapshot.MaxIDBytes
		b.head = append(b.head, s...)
	}
	b.mac.Reset()
	b.mac.Write(b.head)
	b.mac.Write(id)
	b.sum = b.mac.Sum(b.sum[:0])
	return b.sum[:macBytes]
}
