package parsers

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// A generator writes messages that are nearly what they should be.
type generator struct{ *rand.Rand }

func pick[T any](g generator, list ...T) T { return list[g.IntN(len(list))] }

// rarely is true once in n times.
func (g generator) rarely(n int) bool { return g.IntN(n) == 0 }

func (g generator) message() string {
	members := []string{
		g.member("jsonrpc", `"2.0"`), g.member("id", pick(g, `1`, `"a"`, `9007199254740993`, `1.0`, `1e0`, `-0`)),
		g.member("method", pick(g, `"tools/call"`, `"tools\/call"`, `"tools\u002fcall"`, `"tools/list"`)), g.member("params", g.params()),
	}
	if g.rarely(12) {
		members = append(members, g.member(pick(g, "method", "id", "params", "Method", "x", "PARAMS"), pick(g, `"tools/call"`, `1`, g.params())))
	}
	g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	body := "{" + strings.Join(members, pick(g, ",", ", ", ",\n")) + "}"
	if g.rarely(12) {
		body = g.spoil(body)
	}
	return body
}

func (g generator) params() string {
	members := []string{g.member("name", g.name())}
	if !g.rarely(8) {
		members = append(members, g.member("arguments", g.object(3)))
	}
	if g.rarely(10) {
		members = append(members, g.member(pick(g, "Name", "NAME", "ARGUMENTS", "name", "arguments", "na\u0301me", "_meta", "__proto__", "task"), pick(g, g.name(), g.object(1))))
	}
	g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + strings.Join(members, ",") + "}"
}

func (g generator) name() string {
	return pick(g, `"read"`, `"delete"`, `"re\u0061d"`, `"\ud83d\ude00"`, `"\ufeffread"`, `"read\u0000"`, `"é"`, `"e\u0301"`, `"\ud800"`, `7`, `null`)
}

// member writes a member, now and then with its name in escapes.
func (g generator) member(name, value string) string {
	if g.rarely(15) {
		i := g.IntN(len(name))
		name = name[:i] + `\u00` + strconv.FormatInt(int64(name[i]), 16) + name[i+1:]
	}
	return `"` + name + `"` + pick(g, ":", " : ", ":\t") + value
}

func (g generator) object(depth int) string {
	names := []string{"a", "A", "b", "__proto__", "constructor", "toString", "", "é", `\u0061`, "0", "name", `a\u0000`, "\u2028"}
	var members []string
	for range g.IntN(4) {
		members = append(members, `"`+pick(g, names...)+`":`+g.value(depth-1))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (g generator) value(depth int) string {
	switch kind := g.IntN(8); {
	case kind == 0 && depth > 0:
		return g.object(depth)
	case kind == 1 && depth > 0:
		return "[" + g.value(depth-1) + "," + g.value(depth-1) + "]"
	case kind < 5:
		return g.number()
	default:
		return pick(g, `"x"`, `"\u0078"`, `"\/"`, `"\ud83d\ude00"`, `"a\nb"`, "\"\u2028\"", "\"\x7f\"", `"\ufffd"`, `true`, `false`, `null`)
	}
}

// number writes numbers that readers disagree on, and others.
func (g generator) number() string {
	digits := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte('0' + g.IntN(10))
		}
		return string(b)
	}
	switch g.IntN(6) {
	case 0:
		return strconv.FormatFloat(g.NormFloat64()*1e6, 'g', -1, 64)
	case 1:
		return strconv.Itoa(g.IntN(2000) - 1000)
	case 2:
		return "1" + digits(g.IntN(24))
	case 3:
		return pick(g, "0", "-0", "5") + "." + digits(1+g.IntN(20))
	case 4:
		return pick(g, "1", "1.5", "0", "-9.99") + pick(g, "e", "E", "e+", "e-") + digits(1+g.IntN(3))
	default:
		return pick(g, "9007199254740992", "9007199254740993", "-9007199254740993", "1e400", "1e-400", "5e-324", "2e-324", "01", "+1", ".5", "1.", "NaN", "Infinity", "0x10", "1_000")
	}
}

// spoil does to a body what scanners and decoders take in different ways.
func (g generator) spoil(body string) string {
	i := g.IntN(len(body))
	switch g.IntN(7) {
	case 0:
		return "\ufeff" + body
	case 1:
		return body + pick(g, "\x00", " ", "\n\n", "{}", ",", "\u00a0", "\v", "//x")
	case 2:
		return "[" + body + "]"
	case 3:
		return body[:i] + pick(g, "\x00", "\xff", "\xc0\xaf", "\u00a0", "/**/", "\\", "\"") + body[i:]
	case 4:
		return body[:i]
	case 5:
		return strings.ReplaceAll(body, `"`, pick(g, `'`, `"`))
	default:
		return strings.Replace(body, ",", pick(g, ",,", ", ,", ";"), 1)
	}
}
