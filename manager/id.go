package manager

import (
	"encoding/base32"
	"io"
	"strings"
	"time"
)

// IDPattern is the form of an ID that an administrator chooses. It fits into a
// header, a label, a Matrix alias and a container's name without escaping.
const IDPattern = `^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$`

// MaxID is the length of the longest ID.
const MaxID = 63

// ValidID reports whether s has the form of [IDPattern].
func ValidID(s string) bool {
	if s == "" || len(s) > MaxID || !alphanumeric(s[0]) || !alphanumeric(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && !strings.Contains("._-", s[i:i+1]) {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// NewID returns a ULID in lower case behind a prefix: IDs made later sort later,
// and 80 bits of random keep them apart.
func NewID(prefix string, now time.Time, random io.Reader) (string, error) {
	var r [10]byte
	if _, err := io.ReadFull(random, r[:]); err != nil {
		return "", err
	}
	var t [10]byte // 50 bits, of which a ULID's time fills 48
	for i, ms := len(t)-1, uint64(now.UnixMilli()); i >= 0; i, ms = i-1, ms>>5 {
		t[i] = crockford[ms&31]
	}
	return prefix + string(t[:]) + base32.NewEncoding(crockford).EncodeToString(r[:]), nil
}
