package host

// streams are those of a VM by their numbers, which hosts count up.
type streams struct {
	// near has each stream at its number's remainder, unless an older one is
	// there still; then rest has it.
	near [slots]*stream
	rest map[uint32]*stream
}

const slots = 64

// get is nil for a stream that is not there.
func (s *streams) get(id uint32) *stream {
	if at := s.near[id%slots]; at != nil && at.id == id {
		return at
	}
	return s.rest[id]
}

func (s *streams) put(x *stream) {
	if at := &s.near[x.id%slots]; *at == nil {
		*at = x
		return
	}
	if s.rest == nil {
		s.rest = map[uint32]*stream{}
	}
	s.rest[x.id] = x
}

// remove is nil for a stream that is not there.
func (s *streams) remove(id uint32) *stream {
	if at := s.near[id%slots]; at != nil && at.id == id {
		s.near[id%slots] = nil
		return at
	}
	x := s.rest[id]
	delete(s.rest, id)
	return x
}
