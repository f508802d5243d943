package seal

import (
	"crypto/hpke"
	"fmt"
	"io"

	"keyward/plugins/seal/unseal"
)

// ErrKey reports a text that is no gateway key. It never holds the text.
var ErrKey = unseal.ErrKey

// A PrivateKey is what a gateway opens credentials with. It prints as its ID.
type PrivateKey struct {
	key    hpke.PrivateKey
	public *PublicKey
}

// A PublicKey is what credentials are sealed to.
type PublicKey struct {
	key hpke.PublicKey
	id  string
}

// GenerateKey makes a new gateway key.
func GenerateKey() (*PrivateKey, error) {
	k, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, err
	}
	return newPrivate(k), nil
}

func newPrivate(k hpke.PrivateKey) *PrivateKey {
	return &PrivateKey{k, newPublic(k.PublicKey())}
}

func newPublic(k hpke.PublicKey) *PublicKey { return &PublicKey{k, unseal.KeyID(k.Bytes())} }

// ParsePrivate reads the text form of a private key.
func ParsePrivate(s string) (*PrivateKey, error) {
	b, err := unseal.ParseKey(unseal.PrivatePrefix, s)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	k, err := hpke.MLKEM768X25519().NewPrivateKey(b)
	if err != nil {
		return nil, ErrKey
	}
	return newPrivate(k), nil
}

// ParsePublic reads the text form of a public key.
func ParsePublic(s string) (*PublicKey, error) {
	b, err := unseal.ParseKey(unseal.PublicPrefix, s)
	if err != nil {
		return nil, err
	}
	k, err := hpke.MLKEM768X25519().NewPublicKey(b)
	if err != nil {
		return nil, ErrKey
	}
	return newPublic(k), nil
}

// ID names the key pair.
func (k *PrivateKey) ID() string { return k.public.id }

// Public returns the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Reveal returns the text form, which is the secret itself.
func (k *PrivateKey) Reveal() (string, error) {
	b, err := k.key.Bytes() // the key's own bytes, not a copy
	if err != nil {
		return "", err
	}
	return unseal.FormatKey(unseal.PrivatePrefix, b), nil
}

// Format prints the ID for every verb.
func (k *PrivateKey) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "private key "+k.ID())
}

// ID names the key pair.
func (k *PublicKey) ID() string { return k.id }

// String returns the text form.
func (k *PublicKey) String() string { return unseal.FormatKey(unseal.PublicPrefix, k.key.Bytes()) }
