//go:build !lean

package engine

import (
	"net/mail"
	"strings"
	"testing"
)

// FuzzAddress holds isAddress against net/mail. Encoded words, which only net/mail
// looks into, are left out.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{
		"a@b", "a.b@c.d", ".a@b", "a..b@c", `"a b"@c`, `""@c`, `"a\"b"@c`, "a@[1.2.3.4]", "a@[::1]", "a@[fe80::1%x]", "a@[x]", "A B <a@b>", "<a@b>", "a@b (c)", "a@b (c(d)", "A (c) B <a@b> (d)",
		"g: a@b;", "g: a@b, c@d;", "g:;", "g: A <a@b>;(x)", "é@ü", "a", "", " ", "a@", "@b", "a@b c", `"x" <a@b>`, "a@b,", "a@b\x00", "\xff@b", "a b@c", `A"b"c <a@b>`, `(x)a@b`, `a <b`, `a@b (\)`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "=?") {
			return
		}
		_, err := mail.ParseAddress(s)
		if got := isAddress(s); got != (err == nil) {
			t.Errorf("%q: %v, net/mail: %v", s, got, err)
		}
	})
}
