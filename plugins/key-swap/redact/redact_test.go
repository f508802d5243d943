package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
)

const key = `sk-Ab/9+"\<z>&q=~'`

func mask(n int) string { return strings.Repeat("*", n) }

// echoes are what an upstream might write of a key.
func echoes(t testing.TB, key string) map[string]string {
	t.Helper()
	j, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"as it is":                      key,
		"in JSON, as Go writes it":      string(j),
		"in JSON, with escaped slash":   strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(key, `\`, `\\`), `"`, `\"`), "/", `\/`),
		"in a query, as Go writes it":   url.QueryEscape(key),
		"in a path, as Go writes it":    url.PathEscape(key),
		"percent-encoded in lower case": strings.ToLower(url.QueryEscape(strings.ToLower(key))),
		"in HTML, as Go writes it":      html.EscapeString(key),
		"in base64":                     base64.StdEncoding.EncodeToString([]byte(key)),
		"in base64 for URLs":            base64.URLEncoding.EncodeToString([]byte(key)),
		"in Basic after one byte":       base64.StdEncoding.EncodeToString([]byte(":" + key)),
		"in Basic after two bytes":      base64.StdEncoding.EncodeToString([]byte("a:" + key)),
		"in Basic after a user name":    base64.StdEncoding.EncodeToString([]byte("x-access-token:" + key)),
		"in base64 before more":         base64.StdEncoding.EncodeToString([]byte("{\"k\":\"" + key + "\"}")),
	}
}

func TestMaskFindsEverySpelling(t *testing.T) {
	for name, text := range echoes(t, key) {
		t.Run(name, func(t *testing.T) {
			m := New([]byte(key))
			if strings.HasPrefix(name, "percent-encoded in lower") {
				m = New([]byte(strings.ToLower(key)))
			}
			b := []byte("before " + text + " after")
			if !m.Mask(b) {
				t.Fatalf("%q is not found", text)
			}
			if len(b) != len("before "+text+" after") || !bytes.HasPrefix(b, []byte("before ")) || !bytes.HasSuffix(b, []byte(" after")) {
				t.Errorf("masked to %q", b)
			}
			if m.Mask(b) {
				t.Errorf("masked text %q still has the secret", b)
			}
		})
	}
}

func TestMask(t *testing.T) {
	m := New([]byte("abcdabcd"))
	tests := []struct{ name, in, want string }{
		{"nothing to mask", "hello", "hello"},
		{"an empty text", "", ""},
		{"the secret alone", "abcdabcd", mask(8)},
		{"the secret twice", "abcdabcdabcdabcd", mask(16)},
		{"the secret overlapping itself", "abcdabcdabcd", mask(12)},
		{"all but its last byte", "abcdabc", "abcdabc"},
		{"the secret in the middle", "xabcdabcdy", "x" + mask(8) + "y"},
		{"another case is another text", "ABCDABCD", "ABCDABCD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := []byte(tt.in)
			if hit := m.Mask(b); string(b) != tt.want || hit != (tt.in != tt.want) {
				t.Errorf("Mask(%q) = %q, %v, want %q", tt.in, b, hit, tt.want)
			}
		})
	}
}

func TestMaskIsNotMadeOfTheSecret(t *testing.T) {
	m := New([]byte("***#xyz*"))
	b := []byte("a ***#xyz*")
	if !m.Mask(b) || bytes.ContainsAny(b[2:], "*#x") {
		t.Errorf("masked to %q", b)
	}
}

func TestScannerHoldsBackNoMoreThanItMust(t *testing.T) {
	tests := []struct {
		name   string
		pieces []string
		want   []string
	}{
		{"an event goes at once", []string{"data: x\n\n", "data: y\n\n"}, []string{"data: x\n\n", "data: y\n\n", ""}},
		{"a piece that ends like the secret waits", []string{"data: secr", "et-key!\n\n"}, []string{"data: ", mask(10) + "!\n\n", ""}},
		{"what turns out to be none goes on", []string{"data: secr", "ets\n\n"}, []string{"data: ", "secrets\n\n", ""}},
		{"the end lets go of the rest", []string{"secr"}, []string{"", "secr"}},
		{"only the last beginning waits", []string{"secret secr"}, []string{"secret ", "secr"}},
		{"byte by byte", strings.Split("secret-key", ""), append(make([]string, 9), mask(10), "")},
		{"an empty piece changes nothing", []string{"secr", "", "et-key"}, []string{"", "", mask(10), ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := MakeScanner(New([]byte("secret-key")))
			var got []string
			for i, p := range append(tt.pieces, "") {
				out, _ := s.Next([]byte(p), i == len(tt.pieces))
				got = append(got, string(out))
			}
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestZeroForgets(t *testing.T) {
	m := New([]byte("secret-key"))
	patterns := m.patterns
	m.Zero()
	for _, p := range patterns {
		if strings.Trim(string(p), "\x00") != "" {
			t.Errorf("%q is still there", p)
		}
	}
}

// The law: for every way to cut a text, what comes out has no spelling of the
// secret, has the length of what went in, differs only where a spelling was, and
// is the same as for every other way.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("secret-key"), []byte("a secret-key b"), uint64(3))
	f.Add([]byte("abcdabcd"), []byte("abcdabcdabcdabc"), uint64(0x55))
	f.Add([]byte("aaaaaaaa"), []byte("aaaaaaaaaaaaaaaabaaaaaaa"), uint64(0xff))
	f.Add([]byte(`a"b\c/d<`), []byte(`{"k":"a\"b\\c\/d<"} a%22b%5cc%2fd%3c`), uint64(7))
	f.Add([]byte("********"), []byte("x********x"), uint64(9))
	f.Fuzz(func(t *testing.T, secret, text []byte, cuts uint64) {
		if len(secret) < 8 || len(secret) > 64 || len(text) > 1<<12 {
			return
		}
		for _, c := range secret {
			if c < ' ' || c > '~' {
				return
			}
		}
		text = append(append(text, secret...), text...)
		m := New(secret)
		if m.contain(m.mask) {
			return // no character is left that could be a mask
		}
		want := bytes.Clone(text)
		for i := range text { // the slow and obvious way
			for _, p := range m.patterns {
				if bytes.HasPrefix(text[i:], p) {
					copy(want[i:], bytes.Repeat([]byte{m.mask}, len(p)))
				}
			}
		}
		s, got, in := MakeScanner(m), []byte{}, bytes.Clone(text)
		for len(in) > 0 {
			n := min(len(in), int(cuts%7)+1)
			cuts = cuts>>3 | cuts<<61
			out, changed := s.Next(bytes.Clone(in[:n]), false)
			if !changed && !bytes.Equal(out, in[:n]) {
				t.Fatalf("changed without saying so")
			}
			got, in = append(got, out...), in[n:]
			if s.Held() > 6*len(secret) {
				t.Fatalf("%d bytes held back", s.Held())
			}
		}
		out, _ := s.Next(nil, true)
		if got = append(got, out...); !bytes.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		for _, p := range m.patterns {
			if bytes.Contains(got, p) {
				t.Errorf("%q is left in %q", p, got)
			}
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	secret := []byte("ghp_0123456789abcdefghijABCDEFGHIJ012345")
	text := bytes.Repeat([]byte(`{"id":12,"name":"a/b","url":"https://api.github.com/repos/a/b"},`), 16<<10/64)
	for _, size := range []int{256, 16 << 10} {
		b.Run(fmt.Sprintf("clean/%dB", size), func(b *testing.B) {
			s, piece := MakeScanner(New(secret)), text[:size]
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, changed := s.Next(piece, false); changed {
					b.Fatal("changed")
				}
			}
		})
	}
	b.Run("echo/256B", func(b *testing.B) {
		s, echo := MakeScanner(New(secret)), append(bytes.Clone(text[:200]), secret...)
		piece := make([]byte, len(echo))
		b.SetBytes(int64(len(echo)))
		b.ReportAllocs()
		for b.Loop() {
			copy(piece, echo)
			if _, changed := s.Next(piece, false); !changed {
				b.Fatal("not changed")
			}
		}
	})
}
