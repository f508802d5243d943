package engine

import "strconv"

// scanNumber returns where the number that starts at i ends, or where it goes
// wrong (RFC 8259 section 6).
func scanNumber(s string, i int) (end int, ok bool) {
	if i < len(s) && s[i] == '-' {
		i++
	}
	first := i
	if i = scanDigits(s, i); i == first {
		return i, false
	}
	if s[first] == '0' && i > first+1 {
		return first + 1, false
	}
	if i < len(s) && s[i] == '.' {
		point := i + 1
		if i = scanDigits(s, point); i == point {
			return i, false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		exp := i
		if i = scanDigits(s, exp); i == exp {
			return i, false
		}
	}
	return i, true
}

func scanDigits(s string, i int) int {
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}

const (
	// maxExactInt is up to where a float64 holds every integer.
	maxExactInt = 1 << 53
	// exactDecimals is how many significant digits every float64 holds, within
	// exponents of ±exactExponent.
	exactDecimals = 15
	exactExponent = 290
)

// isDouble reports whether a float64 holds the number of a well-formed text: read
// as one and written back in the shortest form it is the same number.
func isDouble(text string) bool {
	d := decimalOf(text)
	if len(d.digits) <= exactDecimals && -exactExponent <= d.exp && d.exp <= exactExponent {
		return true
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && d.compare(decimalOf(strconv.FormatFloat(f, 'e', -1, 64))) == 0
}
