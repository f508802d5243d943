//go:build !lean

package engine

import (
	"encoding/binary"
	"strconv"
	"strings"
)

var uuidBuiltins = []builtin{{"uuid.parse", 1, parseUUID}}

// parseUUID returns the parts of a UUID (RFC 4122), and undefined for any other
// text.
func parseUUID(_ *VM, a []Value) (Value, error) {
	s, err := strOperand("uuid.parse", a, 0)
	if err != nil {
		return Value{}, err
	}
	u, ok := uuidOf(s)
	if !ok {
		return Value{}, nil
	}
	version := int64(u[6] >> 4)
	var b ObjectBuilder
	b.Set("version", Int(version))
	b.Set("variant", String(variants[u[8]>>5]))
	if version != 1 && version != 2 {
		return b.Value(), nil
	}
	b.Set("time", Int(uuidTime(u)))
	var mac []string
	for _, c := range u[10:] {
		mac = append(mac, hexText([]byte{c}))
	}
	b.Set("nodeid", String(strings.Join(mac, "-")))
	b.Set("macvariables", String([...]string{"global:unicast", "global:multicast", "local:unicast", "local:multicast"}[u[10]&3]))
	b.Set("clocksequence", Int(int64(binary.BigEndian.Uint16(u[8:10])&0x3fff)))
	if version == 2 {
		b.Set("id", Int(int64(binary.BigEndian.Uint32(u[:4]))))
		domain := "Domain" + strconv.Itoa(int(u[9]))
		if u[9] < 3 {
			domain = [...]string{"Person", "Group", "Org"}[u[9]]
		}
		b.Set("domain", String(domain))
	}
	return b.Value(), nil
}

// variants by the first three bits of byte 8.
var variants = [...]string{"Reserved", "Reserved", "Reserved", "Reserved", "RFC4122", "RFC4122", "Microsoft", "Future"}

// uuidTime returns the nanoseconds since 1970 that a UUID holds as 100 ns since
// the Gregorian calendar began.
func uuidTime(u [16]byte) int64 {
	const gregorian = 122_192_928_000_000_000
	t := int64(binary.BigEndian.Uint32(u[:4])) |
		int64(binary.BigEndian.Uint16(u[4:6]))<<32 |
		int64(binary.BigEndian.Uint16(u[6:8])&0xfff)<<48
	return (t - gregorian) * 100
}

// uuidOf reads 36 characters, after "urn:uuid:" or between any two others too, or
// 32 hexadecimal digits.
func uuidOf(s string) (u [16]byte, ok bool) {
	switch len(s) {
	case 36:
	case 38:
		s = s[1:37]
	case 45:
		if !strings.EqualFold(s[:9], "urn:uuid:") {
			return u, false
		}
		s = s[9:]
	case 32:
		s = s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	default:
		return u, false
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return u, false
			}
			continue
		}
		d := strings.IndexByte("0123456789abcdef", s[i])
		if d < 0 {
			d = strings.IndexByte("0123456789ABCDEF", s[i])
		}
		if d < 0 {
			return u, false
		}
		u[n/2] = u[n/2]<<4 | byte(d)
		n++
	}
	return u, n == 32
}
