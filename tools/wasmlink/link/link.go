package link

import (
	"bytes"
	"fmt"
	"strings"

	"keyward/tools/wasmlink/leb"
)

// The ABI versions. The SDK exports the first; every host takes the first
// export that it knows, and Envoy does not know the first one.
const (
	higressABI = "proxy_abi_version_0_2_100"
	envoyABI   = "proxy_abi_version_0_2_1"
)

// Link returns wasm with Envoy's ABI version exported behind Higress' own, for
// the same function, without what a gateway does not use: custom sections, and
// names, files and lines of functions; and with the control flow of functions as
// WebAssembly has it, see package flow. All else keeps its bytes; linking twice
// changes nothing.
//
// It fails when the result would not be loaded by both hosts; see [Interface.Check].
func Link(wasm []byte) ([]byte, error) {
	m, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	if err := m.face().Check(); err != nil {
		return nil, err
	}
	if err := m.restructure(); err != nil {
		return nil, err
	}
	return m.link()
}

// Export is [Link] for a module that need not be fit for both hosts, whether a
// host offers what it imports shows only when it is loaded, and whose code stays
// as it was compiled.
func Export(wasm []byte) ([]byte, error) {
	m, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	return m.link()
}

// Restructure returns wasm, any module of the Go toolchain, with the control flow
// of its functions as WebAssembly has it, see package flow. All else keeps its
// bytes.
func Restructure(wasm []byte) ([]byte, error) {
	m, err := parse(wasm)
	if err != nil {
		return nil, err
	}
	if err := m.restructure(); err != nil {
		return nil, err
	}
	out := bytes.Clone(header)
	for _, s := range m.sections {
		out = append(out, s.raw...)
	}
	return out, nil
}

func (m *module) link() ([]byte, error) {
	higress, envoy := m.export(higressABI), m.export(envoyABI)
	switch {
	case higress < 0:
		return nil, fmt.Errorf("no export %s: the module is no plugin for Higress", higressABI)
	case m.exports[higress].kind != functionKind:
		return nil, fmt.Errorf("export %s is no function", higressABI)
	case envoy >= 0 && (envoy < higress || m.exports[envoy] != (exportEntry{envoyABI, functionKind, m.exports[higress].index})):
		return nil, fmt.Errorf("export %s must stand behind %s and be the same function: Higress would take it and send a request on whose headers are held", envoyABI, higressABI)
	}
	for _, e := range m.exports {
		if strings.HasPrefix(e.name, "proxy_abi_version_") && e.name != higressABI && e.name != envoyABI {
			return nil, fmt.Errorf("export %s: a host might take this ABI version instead", e.name)
		}
	}
	out := bytes.Clone(header)
	for _, s := range m.sections {
		switch {
		case s.id == customSection:
		case s.id == dataSection && m.image != nil:
			if err := dropSymbols(m.image); err != nil {
				return nil, err
			}
			out = appendData(out, m.image)
		case s.id == exportSection && envoy < 0:
			out = m.appendExports(out, m.exports[higress].index)
		default:
			out = append(out, s.raw...)
		}
	}
	return out, nil
}

// appendExports writes the export section with Envoy's ABI version as its last
// entry.
func (m *module) appendExports(out []byte, index uint32) []byte {
	body := leb.AppendUnsigned(nil, uint32(len(m.exports)+1))
	body = append(body, m.entries...)
	body = leb.AppendUnsigned(body, uint32(len(envoyABI)))
	body = append(body, envoyABI...)
	body = append(body, functionKind)
	body = leb.AppendUnsigned(body, index)
	out = append(out, exportSection)
	out = leb.AppendUnsigned(out, uint32(len(body)))
	return append(out, body...)
}
