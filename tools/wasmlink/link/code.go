package link

import (
	"fmt"
	"slices"
	"strings"

	"keyward/tools/wasmlink/flow"
	"keyward/tools/wasmlink/leb"
)

// firstNumber is that of the first function in return addresses; cmd/link's
// funcValueOffset.
const firstNumber = 0x1000

// endless are the runtime's functions that never come back, and behind whose
// calls the compiler writes nothing that would end them; cmd/compile/internal/ssagen.
var endless = []string{
	"throw", "throwinit", "block", "gopanic", "panicwrap", "panicrangestate", "panicdivide", "panicshift",
	"panicdottypeE", "panicdottypeI", "panicnildottype", "panicmakeslicelen", "panicmakeslicecap",
	"panicunsafeslicelen", "panicunsafeslicenilptr", "panicunsafestringlen", "panicunsafestringnilptr",
}

func isEndless(name string) bool {
	name, own := strings.CutPrefix(name, "runtime.")
	return own && (strings.HasPrefix(name, "goPanic") || slices.Contains(endless, name))
}

// restructure rewrites the functions of the Go compiler; see package flow. Those
// of other modules stay.
func (m *module) restructure() error {
	at := slices.IndexFunc(m.sections, func(s section) bool { return s.id == codeSection })
	if at < 0 {
		return nil
	}
	return withSymbols(m.image, func(t *symbols) error {
		r := &reader{b: m.sections[at].raw[1:]}
		r = &reader{b: r.bytes()}
		deferReturns, ends := t.functions()
		first := uint32(len(m.imports))
		body := leb.AppendUnsigned(nil, uint32(len(m.funcs))-first)
		number := uint32(firstNumber)
		r.vector(func() {
			code := r.bytes()
			if place, ok := deferReturns[number]; ok && r.err == nil {
				code, _ = flow.Rewrite(code, flow.Facts{
					Number: number, DeferReturn: place,
					Ends: func(index uint32) bool { return ends[index-first+firstNumber] },
				})
			}
			body = append(leb.AppendUnsigned(body, uint32(len(code))), code...)
			number++
		})
		if err := r.end(); err != nil {
			return fmt.Errorf("section %d: %w", codeSection, err)
		}
		if number-firstNumber != uint32(len(m.funcs))-first {
			return fmt.Errorf("section %d: not as many functions as are declared", codeSection)
		}
		raw := leb.AppendUnsigned([]byte{codeSection}, uint32(len(body)))
		m.sections[at].raw = append(raw, body...)
		return nil
	})
}

// functions are where each function goes on after a recovered panic, and those
// that never come back, by their numbers.
func (t *symbols) functions() (deferReturns map[uint32]uint32, ends map[uint32]bool) {
	deferReturns, ends = map[uint32]uint32{}, map[uint32]bool{}
	for i := range t.funcs {
		f := t.function(i)
		number := t.u32(t.end + 8*i)
		deferReturns[number] = t.u32(f + 12)
		if isEndless(t.name(t.u32(f + 4))) {
			ends[number] = true
		}
	}
	return deferReturns, ends
}
