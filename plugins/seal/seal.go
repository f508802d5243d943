package seal

import (
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"slices"

	"keyward/plugins/snapshot"
)

// The suite; see the package comment for why.
var (
	kem  = hpke.MLKEM768X25519()
	kdf  = hpke.HKDFSHA256()
	aead = hpke.AES256GCM()
)

// info keeps what is sealed here apart from every other use of HPKE.
const info = "keyward credential 1"

// Errors of [Open].
var (
	// ErrNoKey reports a credential that is sealed to other gateway keys.
	ErrNoKey = errors.New("the credential is not sealed to a key of this gateway")
	// ErrOpen reports a ciphertext that was altered, or moved from another
	// credential, version or upstream.
	ErrOpen = errors.New("the credential does not open: it was altered, or sealed for another ID, version or upstream")
)

// A Binding is what a ciphertext is good for.
type Binding struct {
	Credential string
	Version    uint64
	Clusters   []string // where it may go; their order does not matter
	Hosts      []string
}

// For returns the binding of a credential as it stands in a snapshot.
func For(c *snapshot.Credential) Binding {
	return Binding{c.ID, c.Version, c.Upstream.Clusters, c.Upstream.Hosts}
}

// Seal closes secret for b to the holder of k.
func Seal(k *PublicKey, secret Secret, b Binding) (snapshot.Sealed, error) {
	if _, err := NewSecret(secret.b); err != nil {
		return snapshot.Sealed{}, err
	}
	enc, sender, err := hpke.NewSender(k.key, kdf, aead, []byte(info))
	if err != nil {
		return snapshot.Sealed{}, err
	}
	sealed, err := sender.Seal(b.bytes(), secret.b)
	if err != nil {
		return snapshot.Sealed{}, err
	}
	return snapshot.Sealed{Key: k.id, Data: append(enc, sealed...)}, nil
}

// Open opens the sealing of c that is for one of keys. Errors are [ErrNoKey],
// [ErrOpen] and those of [NewSecret].
func Open(keys []*PrivateKey, c *snapshot.Credential) (Secret, error) {
	for _, s := range c.Sealed {
		for _, k := range keys {
			if k.ID() == s.Key {
				return k.open(s.Data, For(c))
			}
		}
	}
	return Secret{}, ErrNoKey
}

func (k *PrivateKey) open(data []byte, b Binding) (Secret, error) {
	if len(data) < encBytes {
		return Secret{}, ErrOpen
	}
	recipient, err := hpke.NewRecipient(data[:encBytes], k.key, kdf, aead, []byte(info))
	if err != nil {
		return Secret{}, ErrOpen
	}
	secret, err := recipient.Open(b.bytes(), data[encBytes:])
	if err != nil {
		return Secret{}, ErrOpen
	}
	return NewSecret(secret)
}

// encBytes is the length of the encapsulated key: an ML-KEM-768 ciphertext and
// an X25519 public key.
const encBytes = 1088 + 32

// bytes is the binding as additional authenticated data: each field with its
// length before it, so that no two bindings look the same.
func (b Binding) bytes() []byte {
	out := field(nil, b.Credential)
	out = binary.BigEndian.AppendUint64(out, b.Version)
	for _, list := range [...][]string{b.Clusters, b.Hosts} {
		list = slices.Compact(slices.Sorted(slices.Values(list)))
		out = binary.BigEndian.AppendUint32(out, uint32(len(list)))
		for _, s := range list {
			out = field(out, s)
		}
	}
	return out
}

func field(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
