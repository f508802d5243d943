package live

import "encoding/binary"

// A point is a moment in the life of the shared data.
type point struct {
	life       uint64
	generation uint64
}

// A version is what an entry was from a point on; a nil payload: it was gone.
type version struct {
	point
	payload []byte
}

const (
	maxVersions   = 2
	versionHeader = 8 + 8 + 4
	gone          = 1<<32 - 1 // in place of a payload's length
)

// appendEntry writes the shared form of versions, oldest first.
func appendEntry(b []byte, versions []version) []byte {
	b = append(b, byte(len(versions)))
	for _, v := range versions {
		b = binary.BigEndian.AppendUint64(b, v.life)
		b = binary.BigEndian.AppendUint64(b, v.generation)
		if v.payload == nil {
			b = binary.BigEndian.AppendUint32(b, gone)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(v.payload)))
		b = append(b, v.payload...)
	}
	return b
}

// decodeEntry reads the shared form. Payloads are parts of b.
func decodeEntry(b []byte) (versions []version, ok bool) {
	if len(b) == 0 || b[0] > maxVersions {
		return nil, false
	}
	n, b := int(b[0]), b[1:]
	for range n {
		if len(b) < versionHeader {
			return nil, false
		}
		v := version{point: point{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}}
		size := binary.BigEndian.Uint32(b[16:])
		b = b[versionHeader:]
		if size != gone {
			if uint64(size) > uint64(len(b)) {
				return nil, false
			}
			v.payload, b = b[:size:size], b[size:]
		}
		versions = append(versions, v)
	}
	return versions, len(b) == 0
}

// at is the index of the version that is in force at p, -1 if there is none.
func at(versions []version, p point) int {
	best := -1
	for i, v := range versions {
		if v.life == p.life && v.generation <= p.generation && (best < 0 || v.generation >= versions[best].generation) {
			best = i
		}
	}
	return best
}
