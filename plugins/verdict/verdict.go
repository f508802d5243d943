// Package verdict is what gate tells key-swap about one stream, as a stream
// property that no client can set.
package verdict

import (
	"errors"
	"strconv"
	"strings"
)

// Property is the name of the stream property.
const Property = "keyward_verdict"

// version is the first field; a reader refuses any other.
const version = "1"

// A Verdict is an allow. There is no other kind: a denied stream ends in gate.
type Verdict struct {
	Consumer   string
	Target     string
	Credential string // "": nothing is to be injected
	Generation uint64
	Decision   string
}

var errForm = errors.New("verdict: not in the known form")

// Encode writes v in the property's form: fields separated by a newline, which
// no ID contains.
func (v Verdict) Encode() []byte { return v.Append(make([]byte, 0, 96)) }

// Append is Encode behind b.
func (v Verdict) Append(b []byte) []byte {
	b = append(b, version...)
	b = append(append(b, '\n'), v.Consumer...)
	b = append(append(b, '\n'), v.Target...)
	b = append(append(b, '\n'), v.Credential...)
	b = strconv.AppendUint(append(b, '\n'), v.Generation, 10)
	return append(append(b, '\n'), v.Decision...)
}

// Decode reads what [Verdict.Encode] wrote. Anything else is an error.
func Decode(b []byte) (Verdict, error) {
	rest := string(b)
	var f [5]string
	for i := range f {
		at := strings.IndexByte(rest, '\n')
		if at < 0 {
			return Verdict{}, errForm
		}
		f[i], rest = rest[:at], rest[at+1:]
	}
	if f[0] != version || f[1] == "" || f[2] == "" || rest == "" || strings.IndexByte(rest, '\n') >= 0 {
		return Verdict{}, errForm
	}
	g, err := strconv.ParseUint(f[4], 10, 64)
	if err != nil {
		return Verdict{}, errForm
	}
	return Verdict{Consumer: f[1], Target: f[2], Credential: f[3], Generation: g, Decision: rest}, nil
}
