//go:build !lean

package engine

import (
	"strconv"
	"strings"
)

// extendedUnits rewrites d, w and y of a duration as hours; a text that is no
// such duration comes back as it is.
func extendedUnits(s string) string {
	if len(s) > 256 || !strings.ContainsAny(s, "dwy") {
		return s
	}
	var b []byte
	i := 0
	if s[0] == '-' || s[0] == '+' {
		b = append(b, s[0])
		i++
	}
	for i < len(s) {
		start := i
		for i < len(s) && (s[i]-'0' <= 9 || s[i] == '.') {
			i++
		}
		digits := s[start:i]
		start = i
		for i < len(s) && s[i]-'0' > 9 && s[i] != '.' {
			i++
		}
		hours := 0.0
		switch s[start:i] {
		case "d":
			hours = 24
		case "w":
			hours = 7 * 24
		case "y":
			hours = 365 * 24
		default:
			b = append(append(b, digits...), s[start:i]...)
			continue
		}
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return s
		}
		b = append(strconv.AppendFloat(b, n*hours, 'f', -1, 64), 'h')
	}
	return string(b)
}
