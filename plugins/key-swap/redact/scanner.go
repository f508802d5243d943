package redact

// A Scanner masks a secret in a text that comes in pieces. It holds back only
// what may be the beginning of the secret: never more than a spelling's length,
// and nothing when a piece ends, as events and lines do, in what no secret
// begins with.
type Scanner struct {
	m *Matcher
	// held is what was held back, as it came. Its first covered bytes belong to
	// a spelling that began before and is masked already.
	held    []byte
	covered int
	spans   []span // reused
}

// MakeScanner returns a scanner for one text.
func MakeScanner(m *Matcher) Scanner { return Scanner{m: m} }

// Held is the number of bytes that are held back.
func (s *Scanner) Held() int { return len(s.held) }

// Next takes the next piece, and with end the last one. It returns what may go
// on, which is piece itself when changed is false; piece may be overwritten.
func (s *Scanner) Next(piece []byte, end bool) (out []byte, changed bool) {
	changed = len(s.held) > 0
	text, spans := piece, s.spans[:0]
	if changed {
		text = append(s.held, piece...)
	}
	if s.covered > 0 {
		spans = append(spans, span{0, s.covered})
	}
	spans = s.m.find(text, spans)
	cut := len(text)
	if !end {
		cut = s.m.open(text)
	}
	s.held, s.covered = nil, 0
	if cut < len(text) {
		s.held = append(s.held, text[cut:]...)
	}
	for _, span := range spans {
		if span.from <= cut && cut < span.to {
			s.covered = span.to - cut
		}
	}
	s.spans = spans
	out = text[:cut]
	s.m.cover(out, spans)
	return out, changed || cut < len(text) || len(spans) > 0
}
