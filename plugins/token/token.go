// Package token is the form of a consumer token, the one secret that a Worker
// holds: "kwt_", 43 base62 characters for 32 random bytes, and 6 base62
// characters for the CRC-32 (IEEE) of all that goes before.
//
// The checksum is no protection. It lets a mistyped or truncated token be named
// as such without a look-up, and lets secret scanners find tokens with few false
// alarms.
//
// Only a token's SHA-256 is ever kept: 256 random bits need no salt and no slow
// hash.
package token

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"io"
	"strings"
)

// Prefix begins every consumer token.
const Prefix = "kwt_"

// Size of a token and its parts, in characters.
const (
	secretBytes = 32
	secretChars = 43 // the smallest n with 62^n >= 2^256
	sumChars    = 6  // the smallest n with 62^n >= 2^32

	// Size is the length of every consumer token.
	Size = len(Prefix) + secretChars + sumChars

	// minLeak is the length of what must follow the prefix for a text to count
	// as part of a token: long enough that prose about tokens does not.
	minLeak = 16
)

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Errors of [Check]. Neither tells anything of the text that was checked.
var (
	ErrForm     = errors.New("not in the form of a consumer token")
	ErrChecksum = errors.New("consumer token is mistyped: its checksum does not fit")
)

// New returns a consumer token made of 32 bytes of random, which must be a
// cryptographic source.
func New(random io.Reader) (string, error) {
	var secret [secretBytes]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return "", err
	}
	var b [secretChars]byte
	base62(b[:], secret[:])
	s := Prefix + string(b[:])
	sum := checksum(s)
	return s + string(sum[:]), nil
}

// Check tells whether s can be a consumer token: nil, [ErrForm] or
// [ErrChecksum]. It does not tell whether any gateway knows it.
func Check(s string) error {
	if len(s) != Size || s[:len(Prefix)] != Prefix {
		return ErrForm
	}
	for i := len(Prefix); i < len(s); i++ {
		if !isDigit(s[i]) {
			return ErrForm
		}
	}
	if sum := checksum(s[:Size-sumChars]); string(sum[:]) != s[Size-sumChars:] {
		return ErrChecksum
	}
	return nil
}

// Valid reports whether [Check] finds no fault in s.
func Valid(s string) bool { return Check(s) == nil }

// Digest is what is kept of a token and what it is looked up by.
//
// Looking up a digest gives away nothing by its timing: who does not know the
// token can't choose a digest near another one.
func Digest(s string) [sha256.Size]byte {
	var b [Size]byte // not on the heap, as a conversion would be
	if len(s) > len(b) {
		return sha256.Sum256([]byte(s))
	}
	return sha256.Sum256(b[:copy(b[:], s)])
}

// Contains reports whether s holds a consumer token or a piece of one that is
// long enough to be more than the word itself. It reads s as it is: percent or
// JSON escapes must have been decoded.
func Contains(s string) bool {
	for {
		i := strings.Index(s, Prefix)
		if i < 0 {
			return false
		}
		s = s[i+len(Prefix):]
		n := 0
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		if n >= minLeak {
			return true
		}
	}
}

// base62 writes the big-endian number in src to dst, most significant digit
// first, padded with zeroes.
func base62(dst, src []byte) {
	n := bytes.Clone(src)
	for i := len(dst) - 1; i >= 0; i-- {
		rest := 0
		for j, d := range n {
			rest = rest<<8 | int(d)
			n[j] = byte(rest / len(digits))
			rest %= len(digits)
		}
		dst[i] = digits[rest]
	}
}

// checksum is the CRC-32 (IEEE) of s in base62, padded with zeroes. It works on
// the table itself, since hash/crc32 would make a copy of s escape to the heap
// on every request.
func checksum(s string) (b [sumChars]byte) {
	sum := ^uint32(0)
	for i := range len(s) {
		sum = crc32.IEEETable[byte(sum)^s[i]] ^ sum>>8
	}
	sum = ^sum
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = digits[sum%uint32(len(digits))]
		sum /= uint32(len(digits))
	}
	return b
}

func isDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
