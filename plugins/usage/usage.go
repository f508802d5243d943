// Package usage reads how many tokens a model took from the answers of LLM
// providers as they pass: the member "usage" of one JSON document, or of the
// events of a stream.
//
//   - OpenAI, chat completions and embeddings: "usage", in a stream of the last
//     chunk, which providers send with stream_options.include_usage alone
//   - OpenAI, responses: "usage"; in a stream "response"."usage"
//   - Anthropic, messages: "usage"; in a stream "message"."usage" and later "usage"
//
// Only these places count: a model can't write them, as what it says is inside of
// texts, or deeper. An answer passes in chunks of any size and nothing of it is
// kept but some bytes, so that its length costs no memory. What is not there or
// can't be read is not known; nothing here fails.
package usage

import (
	"keyward/plugins/internal/text"
	"keyward/policies"
)

// maxModel bounds the name of a model, in bytes; a longer one is left out.
const maxModel = 128

// A Scanner reads one answer. The zero value reads one JSON document; see Stream.
type Scanner struct {
	// Stream is for text/event-stream.
	Stream bool

	doc    document
	fields [fields]uint64
	has    [fields]bool
	model  []byte

	line  lineState
	match int  // bytes of "data:" that the line began with
	cr    bool // the last byte was CR: an LF now is part of the same line end
}

// field is a number of a usage.
type field uint8

const (
	input       field = iota // with what came from a cache, but for Anthropic's
	output                   // with reasoning
	cacheWrites              // Anthropic's, beside input
	cacheReads               // likewise
	fields
	noField = fields
)

func fieldOf(name []byte) field {
	switch string(name) {
	case "prompt_tokens", "input_tokens":
		return input
	case "completion_tokens", "output_tokens":
		return output
	case "cache_creation_input_tokens":
		return cacheWrites
	case "cache_read_input_tokens":
		return cacheReads
	}
	return noField
}

// Usage is what was read so far: the model that answered, as the provider names it,
// "" when that is not known, and what it took; nil: not known. The numbers of a
// stream are sums, of which the largest counts. A document must have been written
// whole.
func (s *Scanner) Usage() (model string, tokens *policies.Tokens) {
	if !s.Stream {
		s.endDocument()
	}
	if !s.has[input] && !s.has[output] {
		return string(s.model), nil
	}
	return string(s.model), &policies.Tokens{
		Input:  s.fields[input] + s.fields[cacheWrites] + s.fields[cacheReads],
		Output: s.fields[output],
	}
}

// lineState is where in a line of an event stream the scanner is.
type lineState uint8

const (
	lineName lineState = iota // what was there so far is the beginning of "data:"
	lineData                  // behind that
	lineSkip                  // in a line of no interest
)

const dataName = "data:"

// Write takes the next chunk.
func (s *Scanner) Write(chunk []byte) {
	if !s.Stream {
		s.doc.write(chunk)
		return
	}
	for len(chunk) > 0 {
		c := chunk[0]
		if s.cr {
			s.cr = false
			if c == '\n' {
				chunk = chunk[1:]
				continue
			}
		}
		if c == '\n' || c == '\r' {
			s.cr = c == '\r'
			s.endLine()
			chunk = chunk[1:]
			continue
		}
		switch s.line {
		case lineName:
			if c != dataName[s.match] {
				s.line = lineSkip
				continue
			}
			if s.match++; s.match == len(dataName) {
				s.line = lineData
			}
			chunk = chunk[1:]
		default:
			n := text.First(chunk, '\n', '\r')
			if s.line == lineData {
				s.doc.write(chunk[:n])
			}
			chunk = chunk[n:]
		}
	}
}

// endLine ends an event with an empty line. An event may have several lines of
// data, which line ends join: white space to JSON.
func (s *Scanner) endLine() {
	if s.line == lineName && s.match == 0 {
		s.endDocument()
	} else if s.line == lineData {
		s.doc.write([]byte{'\n'})
	}
	s.line, s.match = lineName, 0
}

// endDocument takes what a whole document says, and makes ready for the next.
func (s *Scanner) endDocument() {
	d := &s.doc
	if d.done && !d.broken {
		for f := range d.fields {
			if d.has[f] {
				s.has[f] = true
				s.fields[f] = max(s.fields[f], d.fields[f])
			}
		}
		if len(d.model) > 0 {
			s.model = append(s.model[:0], d.model...)
		}
	}
	model := d.model[:0]
	*d = document{model: model}
}
