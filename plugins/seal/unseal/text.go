package unseal

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
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

// KeyID names a key pair by its public half: half of its SHA-256, in hex.
func KeyID(public []byte) string {
	d := sha256.Sum256(public)
	return hex.EncodeToString(d[:16])
}

// FormatKey returns the text form of a key behind one of the prefixes.
func FormatKey(prefix string, key []byte) string {
	sum := checksum(prefix, key)
	b := append(append(make([]byte, 0, len(key)+sumBytes), key...), sum[:]...)
	defer clear(b)
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// ParseKey reads what [FormatKey] wrote. The error is [ErrKey].
func ParseKey(prefix, s string) ([]byte, error) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok || strings.ContainsAny(s, "\r\n") { // which the decoder would skip
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
