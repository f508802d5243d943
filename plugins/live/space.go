package live

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"math/rand/v2"

	"keyward/plugins/filter"
	"keyward/plugins/snapshot"
)

// What an entry is of, the first character of its key behind the prefix.
const (
	kindState      = "s"
	kindLease      = "l"
	kindInstance   = "n"
	kindIndex      = "i" // the list of targets
	kindPolicy     = "p"
	kindSessionKey = "x"
	kindConsumer   = "c" // and its ID
	kindCredential = "k" // and its ID
	kindTarget     = "t" // and its ID
	kindToken      = "d" // and its digest, 32 bytes
)

// errForged reports a value that was not written with the gateway token.
var errForged = errors.New("shared data is not authentic")

// A space is the part of the shared data that one gateway token opens, for one
// audience: gate and key-swap have their own also where their vm_id is the same.
type space struct {
	shared  filter.Sharer
	prefix  string
	toState string    // key of the state, which every request looks at
	mac     hash.Hash // keyed
	sum     [sha256.Size]byte
	buf     []byte // of the value written last
}

// maxKept is how much of a buffer is kept, in bytes; few entries are larger.
const maxKept = 64 << 10

// newSpace derives from the gateway token what sets the space of an audience
// apart from others, and what authenticates it.
func newSpace(shared filter.Sharer, token string, audience snapshot.Audience) *space {
	derive := func(use string) []byte {
		h := hmac.New(sha256.New, []byte(token))
		h.Write([]byte("keyward shared data: " + use + " " + string(audience)))
		return h.Sum(nil)
	}
	prefix := "keyward." + hexText(derive("prefix")[:8]) + "."
	return &space{
		shared: shared, prefix: prefix, toState: prefix + kindState,
		mac: hmac.New(sha256.New, derive("mac")),
	}
}

// hexText does without encoding/hex, whose errors bring package fmt into a plugin.
func hexText(b []byte) string {
	const digits = "0123456789abcdef"
	text := make([]byte, 0, 2*len(b))
	for _, c := range b {
		text = append(text, digits[c>>4], digits[c&15])
	}
	return string(text)
}

// authenticate returns the MAC of a value under its key.
func (s *space) authenticate(key string, value []byte) []byte {
	s.mac.Reset()
	s.mac.Write(binary.BigEndian.AppendUint32(s.sum[:0], uint32(len(key))))
	s.mac.Write([]byte(key))
	s.mac.Write(value)
	return s.mac.Sum(s.sum[:0])
}

// verify returns what a stored value says.
func (s *space) verify(key string, stored []byte) ([]byte, error) {
	if len(stored) < sha256.Size {
		return nil, errForged
	}
	value := stored[sha256.Size:]
	if !hmac.Equal(s.authenticate(key, value), stored[:sha256.Size]) {
		return nil, errForged
	}
	return value, nil
}

// get reads and verifies a value. Its version is right also with errForged.
func (s *space) get(key string) ([]byte, uint32, error) {
	stored, cas, err := s.shared.Shared(s.prefix + key)
	if err != nil {
		return nil, 0, err
	}
	value, err := s.verify(key, stored)
	return value, cas, err
}

// put stores what write appends, and its MAC before it. Hosts copy what they are
// given, so one buffer does for all.
func (s *space) put(key string, cas uint32, write func([]byte) []byte) error {
	s.buf = write(append(s.buf[:0], make([]byte, sha256.Size)...))
	copy(s.buf, s.authenticate(key, s.buf[sha256.Size:]))
	err := s.shared.Share(s.prefix+key, s.buf, cas)
	if cap(s.buf) > maxKept {
		s.buf = nil
	}
	return err
}

// state reads the state; ErrNotFound: there never was one.
func (s *space) state() (state, uint32, error) {
	value, cas, err := s.get(kindState)
	if err != nil {
		return state{}, cas, err
	}
	st, ok := decodeState(value)
	if !ok {
		return state{}, cas, errForged
	}
	return st, cas, nil
}

// instance names those who share this space, to the Manager. Who finds no name
// makes one; where several do at once, one stays.
func (s *space) instance() string {
	if name, _, err := s.get(kindInstance); err == nil {
		return string(name)
	}
	made := hexText(binary.BigEndian.AppendUint64(nil, rand.Uint64()))
	if s.put(kindInstance, 0, func(b []byte) []byte { return append(b, made...) }) != nil {
		return ""
	}
	name, _, err := s.get(kindInstance)
	if err != nil {
		return ""
	}
	return string(name)
}
