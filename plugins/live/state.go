package live

import (
	"encoding/binary"

	"keyward/plugins/snapshot"
)

// A state says what of the shared data is in force.
type state struct {
	point
	// serial grows with every state that is written, whatever its life.
	serial uint64
	// contact is when the Manager last confirmed the state, Unix nanoseconds.
	contact int64
	// writing is set while versions of this life beyond the generation may
	// stand in entries. Who finds it, and did not set it, begins a new life.
	writing bool
	epoch   string // the Manager's
}

const stateHeader = 4*8 + 1

func (s *state) append(b []byte) []byte {
	for _, n := range [...]uint64{s.serial, s.life, s.generation, uint64(s.contact)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	writing := byte(0)
	if s.writing {
		writing = 1
	}
	return append(append(b, writing), s.epoch...)
}

func decodeState(b []byte) (s state, ok bool) {
	if len(b) < stateHeader || len(b) > stateHeader+snapshot.MaxIDBytes || b[32] > 1 {
		return state{}, false
	}
	s.serial = binary.BigEndian.Uint64(b)
	s.life = binary.BigEndian.Uint64(b[8:])
	s.generation = binary.BigEndian.Uint64(b[16:])
	s.contact = int64(binary.BigEndian.Uint64(b[24:]))
	s.writing = b[32] == 1
	s.epoch = string(b[stateHeader:])
	return s, true
}
