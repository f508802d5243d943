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
func (v Verdict) Encode() []byte {
	b := make([]byte, 0, 96)
	b = append(b, version...)
	for _, f := range [...]string{v.Consumer, v.Target, v.Credential, strconv.FormatUint(v.Generation, 10), v.Decision} {
		b = append(append(b, '\n'), f...)
	}
	return b
}

// Decode reads what [Verdict.Encode] wrote. Anything else is an error.
func Decode(b []byte) (Verdict, error) {
	f := strings.Split(string(b), "\n")
	if len(f) != 6 || f[0] != version || f[1] == "" || f[2] == "" || f[5] == "" {
		return Verdict{}, errForm
	}
	g, err := strconv.ParseUint(f[4], 10, 64)
	if err != nil {
		return Verdict{}, errForm
	}
	return Verdict{Consumer: f[1], Target: f[2], Credential: f[3], Generation: g, Decision: f[5]}, nil
}
