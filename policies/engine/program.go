package engine

import (
	"strconv"
	"strings"
)

// A Program is a policy ready to run. It does not change any more and may be
// shared by many VMs.
type Program struct {
	image    Image
	version  string
	builtins []builtin
	byPath   map[string]int32 // functions for dynamic calls
	rules    []Rule
	decides  int // functions behind entrypoints

	tables map[int32]*Function // while loading: those that are valid, and where
}

// Load reads a program. Decoding is validation: what Load accepts can fail when
// it runs, but do no other harm. Every error is [ErrProgram].
func Load(program []byte) (*Program, error) {
	m, digest, err := decodeImage(program)
	if err != nil {
		return nil, err
	}
	p := &Program{image: m, version: hexText(digest[:8])}
	if !p.validate() {
		return nil, ErrProgram
	}
	return p, nil
}

// Version returns a short name of the program's contents, in hex.
func (p *Program) Version() string { return p.version }

// An Entrypoint is a rule that can be asked for.
type Entrypoint struct {
	fn     int32 // 1 + the function, so that the zero Entrypoint is none
	decide int32
}

// Entrypoint returns the entrypoint called name, such as "keyward/allow", and
// whether the program has it.
func (p *Program) Entrypoint(name string) (Entrypoint, bool) {
	for _, e := range p.image.Entrypoints {
		if e.Name == name {
			return Entrypoint{e.Func + 1, e.Decide}, true
		}
	}
	return Entrypoint{}, false
}

// Entrypoints returns the names of all entrypoints.
func (p *Program) Entrypoints() []string {
	names := make([]string, len(p.image.Entrypoints))
	for i, e := range p.image.Entrypoints {
		names[i] = e.Name
	}
	return names
}

// A Location is a place in the source of a policy.
type Location struct {
	File string
	Row  int // from 1
}

// String returns "file:row".
func (l Location) String() string { return l.File + ":" + strconv.Itoa(l.Row) }

// A Rule is a rule as a policy has it written.
type Rule struct {
	Location
	Name  string // its place as one text, such as "policy.rego:36"
	Title string // in its METADATA, or in that of all rules of its name; "" without
}

// nameRules makes the rules, whose names are parts of one text.
func (p *Program) nameRules() {
	p.rules = make([]Rule, len(p.image.Rules))
	var b []byte
	for _, r := range p.image.Rules {
		b = append(append(b, p.image.Files[r.File]...), ':')
		b = strconv.AppendInt(b, int64(r.Row), 10)
	}
	text := string(b)
	for i, r := range p.image.Rules {
		file := p.image.Files[r.File]
		n := len(file) + 1
		for row := r.Row; row > 0; row /= 10 {
			n++
		}
		p.rules[i] = Rule{Location{file, int(r.Row)}, text[:n], r.Title}
		text = text[n:]
	}
}

func (p *Program) location(pc int32) Location {
	l := p.image.Locs[pc]
	if l.Row <= 0 {
		return Location{}
	}
	return Location{File: p.image.Files[l.File], Row: int(l.Row)}
}

// pathKey is how byPath names a path.
func pathKey(path []string) string { return strings.Join(path, "\x00") }

// hexText is encoding/hex without its errors, which link fmt.
func hexText(b []byte) string {
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, hexDigits[c>>4], hexDigits[c&15])
	}
	return string(out)
}
