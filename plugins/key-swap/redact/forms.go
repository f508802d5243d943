package redact

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
)

// forms are the spellings in which an upstream echoes secret: as it is, in
// base64 wherever it lies in what was encoded, percent-encoded, and escaped for
// JSON and HTML. Most secrets need no escapes, so that few spellings differ.
func forms(secret []byte) [][]byte {
	list := [][]byte{bytes.Clone(secret)}
	add := func(form []byte) {
		if !slices.ContainsFunc(list, func(f []byte) bool { return bytes.Equal(f, form) }) {
			list = append(list, form)
		}
	}
	for before := range 3 {
		add(inBase64(base64.RawStdEncoding, secret, before))
		add(inBase64(base64.RawURLEncoding, secret, before))
	}
	for _, keep := range keptByEncoders {
		add(percent(secret, keep, "0123456789ABCDEF"))
		add(percent(secret, keep, "0123456789abcdef"))
	}
	for _, r := range escapers {
		add(replace(secret, r))
	}
	return list
}

// inBase64 is the part of the base64 of (before bytes + secret + anything) that
// depends on secret alone.
func inBase64(e *base64.Encoding, secret []byte, before int) []byte {
	b := make([]byte, before+len(secret))
	copy(b[before:], secret)
	out := e.AppendEncode(nil, b)
	clear(b)
	from := (before*8 + 5) / 6 // the first character without bits of what is before
	to := (before + len(secret)) * 8 / 6
	return out[from:to]
}

// keptByEncoders are the characters, beside letters and digits, that encoders in
// use leave as they are: RFC 3986 unreserved, encodeURIComponent, Python's quote,
// Go's PathEscape, path segments, and encodeURI.
var keptByEncoders = []string{"-._~", "-._~!*'()", "-._~/", "-._~$&+=:@", "-._~!$&'()*+,;=:@", "-._~!*'();/?:@&=+$,#"}

func percent(secret []byte, keep, hex string) []byte {
	var out []byte
	for _, c := range secret {
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte(keep, c) >= 0 {
			out = append(out, c)
			continue
		}
		out = append(out, '%', hex[c>>4], hex[c&15])
	}
	return out
}

// escapers are what encoders in use write for JSON and HTML: each character in
// front of its replacement. A secret has no control characters.
var escapers = [][]string{
	{`"\"`, `\\\`},
	{`"\"`, `\\\`, `/\/`},
	{`"\"`, `\\\`, `<\u003c`, `>\u003e`, `&\u0026`},
	{`"\u0022`, `\\\`, `<\u003C`, `>\u003E`, `&\u0026`, `'\u0027`, `+\u002B`},
	{`&&amp;`, `<&lt;`, `>&gt;`, `"&#34;`, `'&#39;`},
	{`&&amp;`, `<&lt;`, `>&gt;`, `"&quot;`, `'&#x27;`},
}

func replace(secret []byte, escapes []string) []byte {
	var out []byte
	for _, c := range secret {
		i := slices.IndexFunc(escapes, func(e string) bool { return e[0] == c })
		if i < 0 {
			out = append(out, c)
			continue
		}
		out = append(out, escapes[i][1:]...)
	}
	return out
}
