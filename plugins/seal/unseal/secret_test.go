package unseal

import (
	"errors"
	"strings"
	"testing"
)

func TestNewSecret(t *testing.T) {
	tests := []struct {
		name, in string
		want     error
	}{
		{"a key", "sk-proj-0123", nil},
		{"a password with a space in it", "correct horse", nil},
		{"nothing", "", ErrLength},
		{"too short to be redacted", "1234567", ErrLength},
		{"too long", strings.Repeat("x", MaxSecretBytes+1), ErrLength},
		{"a line break at its end", "0123456789\n", ErrText},
		{"a header behind it", "01234567\r\nx: y", ErrText},
		{"a NUL in it", "01234567\x0089", ErrText},
		{"a space before it", " 0123456789", ErrText},
		{"a space behind it", "0123456789 ", ErrText},
		{"more than ASCII", "schlüssel-99", ErrText},
		{"a placeholder", "${secret.ns/name.key}", ErrPlaceholder},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewSecret([]byte(tt.in)); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestZeroOverwrites(t *testing.T) {
	s := mustSecret(t, canary)
	twin := s
	s.Zero()
	if strings.Trim(string(twin.Reveal()), "\x00") != "" {
		t.Error("a copy still holds the secret")
	}
}

const canary = "ghp_CanaryCanaryCanary42"

func mustSecret(t testing.TB, s string) Secret {
	t.Helper()
	secret, err := NewSecret([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}
