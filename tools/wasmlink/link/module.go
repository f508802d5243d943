package link

import (
	"bytes"
	"fmt"
	"strings"
)

// MaxBytes is the largest module that is read. Keyward's plugins stay below
// 4 MiB; the bound is for what is handed in by mistake.
const MaxBytes = 64 << 20

// Section numbers (section 5.5.2).
const (
	customSection   = 0
	typeSection     = 1
	importSection   = 2
	functionSection = 3
	exportSection   = 7
	startSection    = 8
	codeSection     = 10
)

// order is where a section stands in a module, by its number: the tag section
// (13) comes before globals, the data count (12) before code.
var order = [...]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 13: 6, 6: 7, 7: 8, 8: 9, 9: 10, 12: 11, 10: 12, 11: 13}

var header = []byte("\x00asm\x01\x00\x00\x00")

// External kinds (section 5.5.5).
const (
	functionKind = 0
	memoryKind   = 2
)

// A module is a parsed module, or as much of it as linking needs.
type module struct {
	sections []section
	imports  []importEntry // functions only
	exports  []exportEntry
	funcs    []string // signature by function index, imported ones first
	entries  []byte   // the export section after its count
	start    bool
	image    []byte // memory as data segments leave it; nil: as it is
}

type section struct {
	id  byte
	raw []byte // with number and size
}

type importEntry struct{ module, name, signature string }

type exportEntry struct {
	name  string
	kind  byte
	index uint32
}

// parse reads a module. The result refers to wasm.
func parse(wasm []byte) (*module, error) {
	if len(wasm) > MaxBytes {
		return nil, fmt.Errorf("module has %d bytes, more than %d", len(wasm), MaxBytes)
	}
	if !bytes.HasPrefix(wasm, header) {
		return nil, fmt.Errorf("not a WebAssembly module of version 1")
	}
	m := &module{}
	var types []string
	last, counted := 0, false
	for r := (&reader{b: wasm[len(header):]}); len(r.b) > 0; {
		start := r.b
		id := r.byte()
		body := r.bytes()
		if r.err != nil {
			return nil, fmt.Errorf("section %d: %w", id, r.err)
		}
		if id != customSection {
			if int(id) >= len(order) || order[id] == 0 {
				return nil, fmt.Errorf("section %d: unknown", id)
			}
			if order[id] <= last {
				return nil, fmt.Errorf("section %d: out of order, or there twice", id)
			}
			last = order[id]
		}
		m.sections = append(m.sections, section{id, start[:len(start)-len(r.b)]})
		var err error
		switch id {
		case typeSection:
			types, err = readTypes(body)
		case importSection:
			err = m.readImports(body, types)
		case functionSection:
			err = m.readFunctions(body, types)
		case exportSection:
			err = m.readExports(body)
		case startSection:
			m.start = true
		case dataCountSection:
			counted = true
		case dataSection:
			if !counted { // the count would have to change with the segments
				m.image, err = readData(body)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("section %d: %w", id, err)
		}
	}
	return m, nil
}

// readTypes returns each function type as text, "(i32, i32) i32".
func readTypes(body []byte) ([]string, error) {
	r := &reader{b: body}
	var types []string
	r.vector(func() {
		if form := r.byte(); form != 0x60 && r.err == nil {
			r.fail(fmt.Errorf("type %d is no function type", len(types)))
			return
		}
		params, results := r.valueTypes(), r.valueTypes()
		text := "(" + strings.Join(params, ", ") + ")"
		if len(results) > 0 {
			text += " " + strings.Join(results, ", ")
		}
		types = append(types, text)
	})
	return types, r.end()
}

func (r *reader) valueTypes() []string {
	var list []string
	r.vector(func() {
		names := map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref"}
		c := r.byte()
		if names[c] == "" {
			r.fail(fmt.Errorf("unknown value type 0x%02x", c))
		}
		list = append(list, names[c])
	})
	return list
}

// readImports accepts functions alone: a plugin that shares a memory or a table
// with its host is none that a proxy-wasm host runs.
func (m *module) readImports(body []byte, types []string) error {
	r := &reader{b: body}
	r.vector(func() {
		e := importEntry{module: r.name(), name: r.name()}
		if kind := r.byte(); kind != functionKind && r.err == nil {
			r.fail(fmt.Errorf("import %s.%s is no function", e.module, e.name))
			return
		}
		e.signature = r.signature(types)
		m.imports = append(m.imports, e)
		m.funcs = append(m.funcs, e.signature)
	})
	return r.end()
}

func (m *module) readFunctions(body []byte, types []string) error {
	r := &reader{b: body}
	r.vector(func() { m.funcs = append(m.funcs, r.signature(types)) })
	return r.end()
}

func (r *reader) signature(types []string) string {
	i := r.u32()
	if r.err == nil && uint64(i) >= uint64(len(types)) {
		r.fail(fmt.Errorf("type %d does not exist", i))
	}
	if r.err != nil {
		return ""
	}
	return types[i]
}

func (m *module) readExports(body []byte) error {
	r := &reader{b: body}
	seen := map[string]bool{}
	count := *r
	count.u32()
	m.entries = count.b
	r.vector(func() {
		e := exportEntry{r.name(), r.byte(), r.u32()}
		switch {
		case r.err != nil:
			return
		case seen[e.name]:
			r.fail(fmt.Errorf("export %q is there twice", e.name))
		case e.kind == functionKind && uint64(e.index) >= uint64(len(m.funcs)):
			r.fail(fmt.Errorf("export %q is function %d, which does not exist", e.name, e.index))
		}
		seen[e.name] = true
		m.exports = append(m.exports, e)
	})
	return r.end()
}

// export returns the position of an export, -1 when there is none.
func (m *module) export(name string) int {
	for i, e := range m.exports {
		if e.name == name {
			return i
		}
	}
	return -1
}
