package unseal

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/sha3"
	"errors"
	"fmt"
	"io"
	"strings"

	"keyward/plugins/snapshot"
)

// Errors of [Open].
var (
	// ErrNoKey reports a credential that is sealed to other gateway keys.
	ErrNoKey = errors.New("the credential is not sealed to a key of this gateway")
	// ErrOpen reports a ciphertext that was altered, or moved from another
	// credential, version or upstream.
	ErrOpen = errors.New("the credential does not open: it was altered, or sealed for another ID, version or upstream")
)

// seedBytes is the length of the seed that both halves of a hybrid key come
// from.
const seedBytes = 32

// A Key is what a gateway opens credentials with. It prints as its ID.
type Key struct {
	pq *mlkem.DecapsulationKey768
	t  *ecdh.PrivateKey // X25519
	id string
}

// ParseKeys reads private keys in text form separated by white space, of which
// at least one must be there.
func ParseKeys(s string) ([]*Key, error) {
	var keys []*Key
	for text := range strings.FieldsSeq(s) {
		seed, err := ParseKey(PrivatePrefix, text)
		if err != nil {
			return nil, err
		}
		k, err := newKey(seed)
		clear(seed)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	if keys == nil {
		return nil, errors.New("no gateway key")
	}
	return keys, nil
}

// newKey expands a seed; draft-connolly-cfrg-xwing-kem section 5.2.
func newKey(seed []byte) (*Key, error) {
	if len(seed) != seedBytes {
		return nil, ErrKey
	}
	both := sha3.SumSHAKE256(seed, mlkem.SeedSize+32)
	defer clear(both)
	pq, err := mlkem.NewDecapsulationKey768(both[:mlkem.SeedSize])
	if err != nil {
		return nil, ErrKey
	}
	t, err := ecdh.X25519().NewPrivateKey(both[mlkem.SeedSize:])
	if err != nil {
		return nil, ErrKey
	}
	public := append(pq.EncapsulationKey().Bytes(), t.PublicKey().Bytes()...)
	return &Key{pq, t, KeyID(public)}, nil
}

// ID names the key pair.
func (k *Key) ID() string { return k.id }

// Format prints the ID for every verb.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "private key "+k.id) }

// Open opens the sealing of c that is for one of keys. Errors are [ErrNoKey],
// [ErrOpen] and those of [NewSecret].
func Open(keys []*Key, c *snapshot.Credential) (Secret, error) {
	for _, s := range c.Sealed {
		for _, k := range keys {
			if k.id == s.Key {
				return k.open(s.Data, For(c))
			}
		}
	}
	return Secret{}, ErrNoKey
}

func (k *Key) open(data []byte, b Binding) (Secret, error) {
	if len(data) < encBytes {
		return Secret{}, ErrOpen
	}
	shared, err := k.decapsulate(data[:encBytes])
	if err != nil {
		return Secret{}, ErrOpen
	}
	aead, nonce, err := schedule(shared)
	if err != nil {
		return Secret{}, ErrOpen
	}
	secret, err := aead.Open(nil, nonce, data[encBytes:], b.Bytes())
	if err != nil {
		return Secret{}, ErrOpen
	}
	return NewSecret(secret)
}
