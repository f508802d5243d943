package link

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"keyward/tools/wasmlink/leb"
)

// A spec describes a module for a test; zero values are those of a good plugin.
type spec struct {
	abi     []string        // ABI exports in order; nil: the SDK's own
	other   map[string]byte // ABI exports that are another function
	without string          // a needed export that is left out
	wrong   string          // a needed export with the type () ()
	imports []string        // "module.name"
	start   bool
	custom  bool

	bodiless bool // it is shown no request bodies
}

// encode writes a module with one function for each needed export.
func (s spec) encode() []byte {
	signatures := []string{"()"} // type 0
	typeOf := func(signature string) uint32 {
		if i := slices.Index(signatures, signature); i >= 0 {
			return uint32(i)
		}
		signatures = append(signatures, signature)
		return uint32(len(signatures) - 1)
	}
	var imports, funcs, exports, code [][]byte
	for _, name := range s.imports {
		mod, field, _ := strings.Cut(name, ".")
		imports = append(imports, slices.Concat(text(mod), text(field), []byte{functionKind, 0}))
	}
	add := func(signature string) uint32 {
		funcs = append(funcs, leb.AppendUnsigned(nil, typeOf(signature)))
		code = append(code, []byte{3, 0, 0x00, 0x0b}) // unreachable
		return uint32(len(imports) + len(funcs) - 1)
	}
	for _, n := range slices.Concat(needed, together) {
		switch {
		case n.Name == s.without, s.bodiless && slices.Contains(together, n):
		case n.Signature == "memory":
			exports = append(exports, slices.Concat(text(n.Name), []byte{memoryKind, 0}))
		default:
			signature := n.Signature
			if n.Name == s.wrong {
				signature = "()"
			}
			exports = append(exports, export(n.Name, add(signature)))
		}
	}
	abi := s.abi
	if abi == nil {
		abi = []string{higressABI}
	}
	version := add("()")
	for _, name := range abi {
		if s.other[name] != 0 {
			exports = append(exports, export(name, add("()")))
			continue
		}
		exports = append(exports, export(name, version))
	}
	var types [][]byte
	for _, signature := range signatures {
		types = append(types, functionType(signature))
	}
	b := bytes.Clone(header)
	if s.custom {
		b = appendSection(b, customSection, slices.Concat(text("producers"), []byte{1, 2, 3}))
	}
	b = appendSection(b, typeSection, vector(types))
	if imports != nil {
		b = appendSection(b, importSection, vector(imports))
	}
	b = appendSection(b, functionSection, vector(funcs))
	b = appendSection(b, 5, []byte{1, 0, 1})
	b = appendSection(b, exportSection, vector(exports))
	if s.start {
		b = appendSection(b, startSection, []byte{0})
	}
	b = appendSection(b, 10, vector(code))
	if s.custom {
		b = appendSection(b, customSection, slices.Concat(text("name"), []byte{0}))
	}
	return b
}

func text(s string) []byte { return append(leb.AppendUnsigned(nil, uint32(len(s))), s...) }

func vector(elements [][]byte) []byte {
	return append(leb.AppendUnsigned(nil, uint32(len(elements))), slices.Concat(elements...)...)
}

func appendSection(b []byte, id byte, body []byte) []byte {
	return append(append(append(b, id), leb.AppendUnsigned(nil, uint32(len(body)))...), body...)
}

func export(name string, index uint32) []byte {
	return leb.AppendUnsigned(append(text(name), functionKind), index)
}

func functionType(signature string) []byte {
	params, results, _ := strings.Cut(signature, ")")
	i32s := func(s string) []byte {
		n := strings.Count(s, "i32")
		return append(leb.AppendUnsigned(nil, uint32(n)), bytes.Repeat([]byte{0x7f}, n)...)
	}
	return slices.Concat([]byte{0x60}, i32s(params), i32s(results))
}

func TestLinkAppendsTheVersionThatEnvoyKnowsLast(t *testing.T) {
	for name, s := range map[string]spec{
		"plain module":          {},
		"module without bodies": {bodiless: true},
		"module with sections":  {custom: true, imports: []string{"env.proxy_log", "wasi_snapshot_preview1.fd_write"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := s.encode()
			out, err := Link(in)
			if err != nil {
				t.Fatal(err)
			}
			m, err := parse(out)
			if err != nil {
				t.Fatal(err)
			}
			last := m.exports[len(m.exports)-1]
			if last.name != envoyABI || last.index != m.exports[m.export(higressABI)].index {
				t.Errorf("last export = %v, want %s for the same function as %s", last, envoyABI, higressABI)
			}
			for _, section := range m.sections {
				if section.id == customSection {
					t.Error("a custom section is left")
				}
			}
			again, err := Link(out)
			if err != nil || !bytes.Equal(again, out) {
				t.Errorf("linking twice changes the module, or fails: %v", err)
			}
		})
	}
}

func TestLinkRefuses(t *testing.T) {
	tests := []struct {
		name    string
		module  []byte
		wantErr string
	}{
		{"an empty file", nil, "not a WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "not a WebAssembly module"},
		{"a module without ABI version", spec{abi: []string{}}.encode(), "no export proxy_abi_version_0_2_100"},
		{"a module of the upstream SDK", spec{abi: []string{envoyABI}}.encode(), "no export proxy_abi_version_0_2_100"},
		{"the versions in the wrong order", spec{abi: []string{envoyABI, higressABI}}.encode(), "must stand behind"},
		{
			"a second version that is another function",
			spec{abi: []string{higressABI, envoyABI}, other: map[string]byte{envoyABI: 1}}.encode(),
			"must stand behind",
		},
		{"a third version", spec{abi: []string{higressABI, "proxy_abi_version_0_1_0"}}.encode(), "might take this ABI version"},
		{"a missing trailers callback", spec{without: "proxy_on_request_trailers"}.encode(), "let go undecided"},
		{"a missing body callback", spec{without: "proxy_on_request_body"}.encode(), "never decided"},
		{"a missing end", spec{without: "proxy_on_delete"}.encode(), "end is never seen"},
		{"a missing memory", spec{without: "memory"}.encode(), "export memory is missing"},
		{"a callback of the wrong type", spec{wrong: "proxy_on_request_body"}.encode(), `proxy_on_request_body is "()"`},
		{"an import that only Higress offers", spec{imports: []string{"env.proxy_redis_call"}}.encode(), "import env.proxy_redis_call"},
		{"an import of the file system", spec{imports: []string{"wasi_snapshot_preview1.path_open"}}.encode(), "path_open: not offered"},
		{"an import of another module", spec{imports: []string{"gojs.runtime"}}.encode(), "import gojs.runtime"},
		{"a start function", spec{start: true}.encode(), "start function"},
		{"a section cut short", spec{}.encode()[:60], "ends too early"},
		{"a section out of order", slices.Concat(spec{}.encode(), []byte{typeSection, 1, 0}), "out of order"},
		{"an unknown section", slices.Concat(header, []byte{99, 0}), "unknown"},
		{"a size beyond 32 bits", slices.Concat(header, []byte{1, 0xff, 0xff, 0xff, 0xff, 0x1f}), "not a 32-bit LEB128"},
		{"a count that lies", slices.Concat(header, []byte{typeSection, 5, 0xff, 0xff, 0xff, 0xff, 0x0f}), "ends too early"},
		{"bytes behind a vector", slices.Concat(header, []byte{typeSection, 2, 0, 0}), "too many"},
		{"an imported memory", slices.Concat(header, []byte{importSection, 8, 1, 1, 'a', 1, 'b', memoryKind, 0, 0}), "is no function"},
		{"a name that is not UTF-8", slices.Concat(header, []byte{exportSection, 5, 1, 1, 0xff, 0, 0}), "not UTF-8"},
		{"an export of nothing", slices.Concat(header, []byte{exportSection, 5, 1, 1, 'a', 0, 0}), "does not exist"},
		{"an export that is there twice", slices.Concat(header, []byte{exportSection, 9, 2, 1, 'a', 2, 0, 1, 'a', 2, 0}), "there twice"},
		{"a function of no type", slices.Concat(header, []byte{functionSection, 2, 1, 7}), "type 7 does not exist"},
		{"a type that is none", slices.Concat(header, []byte{typeSection, 2, 1, 0x5f}), "no function type"},
		{"a value type that is none", slices.Concat(header, []byte{typeSection, 5, 1, 0x60, 1, 0x01, 0}), "unknown value type"},
		{"more than the bound", make([]byte, MaxBytes+1), "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := Link(tt.module)
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("Link error = %v, want one with %q", err, tt.wantErr)
			}
			if out != nil {
				t.Error("Link returns a module beside the error")
			}
		})
	}
}

func TestInterfaceDiff(t *testing.T) {
	face, err := Read(spec{imports: []string{"env.proxy_log"}}.encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := face.Diff(face.String()); diff != "" {
		t.Errorf("an interface differs from itself:\n%s", diff)
	}
	golden := strings.Replace(face.String(), "env.proxy_log ()", "env.proxy_done () i32", 1)
	if got, want := face.Diff(golden), "- import env.proxy_done () i32\n+ import env.proxy_log ()\n"; got != want {
		t.Errorf("Diff = %q, want %q", got, want)
	}
}

// The law: whatever the bytes, Link either fails or returns a module that it
// leaves alone, whose interface is the old one and Envoy's ABI version.
func FuzzLink(f *testing.F) {
	f.Add(spec{}.encode())
	f.Add(spec{custom: true, imports: []string{"env.proxy_log"}}.encode())
	f.Add(spec{abi: []string{higressABI, envoyABI}}.encode())
	f.Add(spec{start: true}.encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		out, err := Link(in)
		if err != nil {
			return
		}
		again, err := Link(out)
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("linking again: %v, or other bytes", err)
		}
		before, err := Read(in)
		if err != nil {
			t.Fatal(err)
		}
		after, err := Read(out)
		if err != nil {
			t.Fatal(err)
		}
		abi := Function{envoyABI, "()"}
		if !slices.Contains(before.Exports, abi) {
			after.Exports = slices.DeleteFunc(after.Exports, func(e Function) bool { return e == abi })
		}
		if before.String() != after.String() {
			t.Errorf("interface changed:\n%s", after.Diff(before.String()))
		}
	})
}

func TestExportDoesNotAskWhatHostsOffer(t *testing.T) {
	wasm := spec{imports: []string{"wasi_snapshot_preview1.path_open"}}.encode()
	out, err := Export(wasm)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parse(out)
	if err != nil {
		t.Fatal(err)
	}
	if m.export(envoyABI) != len(m.exports)-1 {
		t.Errorf("exports = %v, want %s last", m.exports, envoyABI)
	}
}
