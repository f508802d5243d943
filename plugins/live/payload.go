package live

import (
	"encoding/binary"
	"strings"

	"keyward/plugins/snapshot"
)

// encodeIndex joins IDs, in which no line end can be.
func encodeIndex(ids []string) []byte { return []byte(strings.Join(ids, "\n")) }

func decodeIndex(b []byte) []string {
	if len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), "\n")
}

func encodePolicy(p *snapshot.Policy) []byte {
	b := make([]byte, 0, 2+len(p.Version)+len(p.Program))
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.Version)))
	return append(append(b, p.Version...), p.Program...)
}

// decodePolicy reads the shared form. The program is a part of b.
func decodePolicy(b []byte) (*snapshot.Policy, bool) {
	if len(b) < 2 || int(binary.BigEndian.Uint16(b)) > len(b)-2 {
		return nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	return &snapshot.Policy{Version: string(b[2:n]), Program: b[n:]}, true
}
