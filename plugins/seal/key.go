package seal

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Prefixes of the text forms of a gateway key. Behind them is base64 (RFC 4648
// section 5, without padding) of the key and a checksum.
const (
	PrivatePrefix = "kwg_private_"
	PublicPrefix  = "kwg_public_"
)

// sumBytes is the length of the checksum: enough to name a key that was cut or
// mistyped, and no protection.
const sumBytes = 4

// ErrKey reports a text that is no gateway key. It never holds the text.
var ErrKey = errors.New("not a gateway key, or mistyped")

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
	k, err := kem.GenerateKey()
	if err != nil {
		return nil, err
	}
	return newPrivate(k), nil
}

func newPrivate(k hpke.PrivateKey) *PrivateKey {
	return &PrivateKey{k, newPublic(k.PublicKey())}
}

// newPublic names a key by the first half of its SHA-256, so that both halves of
// a key pair, and every copy, have one name.
func newPublic(k hpke.PublicKey) *PublicKey {
	d := sha256.Sum256(k.Bytes())
	return &PublicKey{k, hex.EncodeToString(d[:16])}
}

// ParsePrivate reads the text form of a private key.
func ParsePrivate(s string) (*PrivateKey, error) {
	b, err := parse(PrivatePrefix, s)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	k, err := kem.NewPrivateKey(b)
	if err != nil {
		return nil, ErrKey
	}
	return newPrivate(k), nil
}

// ParsePublic reads the text form of a public key.
func ParsePublic(s string) (*PublicKey, error) {
	b, err := parse(PublicPrefix, s)
	if err != nil {
		return nil, err
	}
	k, err := kem.NewPublicKey(b)
	if err != nil {
		return nil, ErrKey
	}
	return newPublic(k), nil
}

// ParseKeys reads private keys separated by white space, of which at least one
// must be there.
func ParseKeys(s string) ([]*PrivateKey, error) {
	var keys []*PrivateKey
	for text := range strings.FieldsSeq(s) {
		k, err := ParsePrivate(text)
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

// ID names the key pair.
func (k *PrivateKey) ID() string { return k.public.id }

// Public returns the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Reveal returns the text form, which is the secret itself.
func (k *PrivateKey) Reveal() (string, error) {
	b, err := k.key.Bytes() // the key's own memory: to clear it is to lose the key
	if err != nil {
		return "", err
	}
	return text(PrivatePrefix, b), nil
}

// Format prints the ID for every verb.
func (k *PrivateKey) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "private key "+k.ID())
}

// ID names the key pair.
func (k *PublicKey) ID() string { return k.id }

// String returns the text form.
func (k *PublicKey) String() string { return text(PublicPrefix, k.key.Bytes()) }

func text(prefix string, key []byte) string {
	sum := checksum(prefix, key)
	b := append(append(make([]byte, 0, len(key)+sumBytes), key...), sum[:]...)
	defer clear(b)
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

func parse(prefix, s string) ([]byte, error) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return nil, ErrKey
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) <= sumBytes {
		return nil, ErrKey
	}
	key, sum := b[:len(b)-sumBytes], [sumBytes]byte(b[len(b)-sumBytes:])
	if sum != checksum(prefix, key) {
		return nil, ErrKey
	}
	return key, nil
}

func checksum(prefix string, key []byte) [sumBytes]byte {
	h := sha256.New()
	h.Write([]byte(prefix))
	h.Write(key)
	return [sumBytes]byte(h.Sum(nil)[:sumBytes])
}
