package unseal

import (
	"errors"
	"fmt"
	"io"
)

// Bounds of a secret.
const (
	// MinSecretBytes is the shortest secret: one that is shorter could not be
	// told from other text, and so not be redacted, in an answer.
	MinSecretBytes = 8
	MaxSecretBytes = 4096
)

// Errors of [NewSecret].
var (
	ErrLength      = errors.New("a credential must have 8 to 4096 characters")
	ErrText        = errors.New("a credential must be ASCII text without control characters and without space around it")
	ErrPlaceholder = errors.New("the credential is a placeholder that nothing filled in")
)

// A Secret is a credential in clear. It prints as REDACTED in every form; only
// Reveal gives it away. The zero Secret is none.
type Secret struct {
	// A pointer, since fmt prints what is in a struct for %p whatever methods
	// it has.
	v *struct{ b []byte }
}

// NewSecret takes b over as a secret. It must be fit for a header: RFC 9110
// section 5.5, without what only some servers take.
func NewSecret(b []byte) (Secret, error) {
	if len(b) < MinSecretBytes || len(b) > MaxSecretBytes {
		return Secret{}, ErrLength
	}
	if b[0] == ' ' || b[len(b)-1] == ' ' {
		return Secret{}, ErrText
	}
	for _, c := range b {
		if c < ' ' || c > '~' {
			return Secret{}, ErrText
		}
	}
	if b[0] == '$' && b[1] == '{' {
		return Secret{}, ErrPlaceholder
	}
	return Secret{&struct{ b []byte }{b}}, nil
}

// Reveal returns the secret itself, not a copy; nil when there is none.
func (s Secret) Reveal() []byte {
	if s.v == nil {
		return nil
	}
	return s.v.b
}

// Zero overwrites the secret, in every copy of s. What a garbage collector or a
// host made of it before stays.
func (s Secret) Zero() { clear(s.Reveal()) }

const redacted = "REDACTED"

// Format prints REDACTED for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String returns REDACTED.
func (Secret) String() string { return redacted }

// MarshalText returns REDACTED.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
