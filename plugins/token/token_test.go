package token

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
)

// Tokens of all-zero and all-one secrets, computed apart from this package
// (Python: int.to_bytes, zlib.crc32).
const (
	zeroToken = "kwt_00000000000000000000000000000000000000000001ahYgH"
	onesToken = "kwt_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp14dgp8X"
)

func TestNewMatchesIndependentVectors(t *testing.T) {
	tests := []struct {
		name   string
		secret byte
		want   string
	}{
		{"all bits clear", 0x00, zeroToken},
		{"all bits set", 0xff, onesToken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := New(bytes.NewReader(bytes.Repeat([]byte{tt.secret}, 32)))
			if err != nil || got != tt.want {
				t.Errorf("New = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestNewFailsWithoutRandomness(t *testing.T) {
	if got, err := New(strings.NewReader("too short")); !errors.Is(err, io.ErrUnexpectedEOF) || got != "" {
		t.Errorf("New = %q, %v; want no token and %v", got, err, io.ErrUnexpectedEOF)
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name, in string
		want     error
	}{
		{"a token passes", onesToken, nil},
		{"an empty text is no token", "", ErrForm},
		{"the prefix alone is no token", Prefix, ErrForm},
		{"a token cut short is no token", onesToken[:Size-1], ErrForm},
		{"a token with something behind it is no token", onesToken + "0", ErrForm},
		{"a token with a line break is no token", onesToken[:Size-1] + "\n", ErrForm},
		{"the prefix counts by case", "KWT_" + onesToken[4:], ErrForm},
		{"a letter outside base62 is no token", strings.Replace(zeroToken, "00", "0-", 1), ErrForm},
		{"one wrong character is a typo", strings.Replace(zeroToken, "00", "01", 1), ErrChecksum},
		{"two swapped characters are a typo", swap(onesToken, 10), ErrChecksum},
		{"a wrong checksum is a typo", zeroToken[:Size-1] + "z", ErrChecksum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Check(tt.in); got != tt.want {
				t.Errorf("Check(%q) = %v, want %v", tt.in, got, tt.want)
			}
			if got := Valid(tt.in); got != (tt.want == nil) {
				t.Errorf("Valid(%q) = %v", tt.in, got)
			}
		})
	}
}

func TestDigestIsSHA256(t *testing.T) {
	d := Digest("abc") // FIPS 180-2 appendix B.1
	const want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	if got := hex.EncodeToString(d[:]); got != want {
		t.Errorf("Digest = %s, want %s", got, want)
	}
}

func TestContains(t *testing.T) {
	tests := []struct {
		name, in string
		want     bool
	}{
		{"nothing", "", false},
		{"prose about tokens", "tokens start with kwt_ and are secret", false},
		{"a name with the prefix", "kwt_example", false},
		{"a token", onesToken, true},
		{"a token in a query", "/x?t=" + onesToken + "&y=1", true},
		{"half a token", onesToken[:30], true},
		{"a token behind prose", "kwt_ kwt_x " + onesToken, true},
		{"a token glued to a word", "my" + onesToken, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Contains(tt.in); got != tt.want {
				t.Errorf("Contains(%q) = %v, want %v", tt.in, got, tt.want)
			}
		})
	}
}

// The law: what New makes, Check accepts and Contains finds, it stands for
// exactly the random bytes, and no single changed character is accepted.
func FuzzNew(f *testing.F) {
	f.Add(make([]byte, 32), 5, byte('x'))
	f.Fuzz(func(t *testing.T, secret []byte, at int, c byte) {
		if len(secret) < 32 || at < 0 || at >= Size {
			return
		}
		s, err := New(bytes.NewReader(secret))
		if err != nil || !Valid(s) || !Contains("a "+s) {
			t.Fatalf("New = %q, %v", s, err)
		}
		if got := decode(t, s[len(Prefix):len(Prefix)+secretChars]); !bytes.Equal(got, secret[:32]) {
			t.Errorf("%q stands for %x, want %x", s, got, secret[:32])
		}
		if bad := s[:at] + string(c) + s[at+1:]; bad != s && Valid(bad) {
			t.Errorf("%q is accepted, though %q was made", bad, s)
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add(zeroToken)
	f.Add("kwt_")
	f.Fuzz(func(t *testing.T, s string) {
		if Valid(s) && (len(s) != Size || !strings.HasPrefix(s, Prefix) || !Contains(s)) {
			t.Errorf("Valid(%q)", s)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	s, err := New(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !Valid(s) {
			b.Fatal("token refused")
		}
	}
}

// decode reads base62 with math/big, apart from the code under test.
func decode(t *testing.T, s string) []byte {
	t.Helper()
	n := new(big.Int)
	for _, c := range []byte(s) {
		n.Mul(n, big.NewInt(62))
		n.Add(n, big.NewInt(int64(strings.IndexByte(digits, c))))
	}
	return n.FillBytes(make([]byte, 32))
}

func swap(s string, i int) string {
	b := []byte(s)
	b[i], b[i+1] = b[i+1], b[i]
	return string(b)
}
