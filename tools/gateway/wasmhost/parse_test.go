package wasmhost

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// module is a wasm module that exports function 0 under these names.
func moduleExporting(names ...string) []byte {
	section := []byte{byte(len(names))}
	for _, name := range names {
		section = append(append(section, byte(len(name))), name...)
		section = append(section, 0, 0)
	}
	return slices.Concat([]byte("\x00asm\x01\x00\x00\x00\x01\x01\x00\x07"), []byte{byte(len(section))}, section)
}

func TestFindABI(t *testing.T) {
	tests := []struct {
		name    string
		exports []string
		persona Persona
		want    string
	}{
		{"Higress takes its own when it comes first", []string{"x", "proxy_abi_version_0_2_100", "proxy_abi_version_0_2_1"}, Higress, "proxy_abi_version_0_2_100"},
		{"vanilla Envoy skips what it does not know", []string{"proxy_abi_version_0_2_100", "proxy_abi_version_0_2_1"}, Envoy, "proxy_abi_version_0_2_1"},
		{"the first known one counts", []string{"proxy_abi_version_0_2_1", "proxy_abi_version_0_2_100"}, Higress, "proxy_abi_version_0_2_1"},
		{"none is an error", []string{"x"}, Higress, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := findABI(moduleExporting(tt.exports...), tt.persona)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func FuzzExportNames(f *testing.F) {
	f.Add(moduleExporting("a", "b"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := exportNames(b)
		n := 0
		for _, name := range names {
			n += len(name)
		}
		if err == nil && n > len(b) {
			t.Errorf("%d bytes of names in %d bytes", n, len(b))
		}
	})
}

func FuzzPairs(f *testing.F) {
	b := make([]byte, pairsSize([][2]string{{"a", "1"}, {"", ""}}))
	putPairs(b, [][2]string{{"a", "1"}, {"", ""}})
	f.Add(b)
	f.Add([]byte{0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := getPairs(b)
		if err != nil || len(b) == 0 {
			return
		}
		again := make([]byte, pairsSize(list))
		putPairs(again, list)
		if d := cmp.Diff(b, again); d != "" {
			t.Errorf("not the same after a round trip (-want +got):\n%s", d)
		}
	})
}

func TestSharedDataKeepsItsOwnCopy(t *testing.T) {
	var d sharedData
	value := []byte("1")
	d.set("vm", "k", value, 0)
	value[0] = '2'
	if got, ok := d.get("vm", "k"); !ok || string(got.value) != "1" {
		t.Errorf("got %q, %v", got.value, ok)
	}
	if st := d.set("vm", "new", nil, 77); st != statusOK {
		t.Errorf("a missing key with some cas: got status %d, want 0", st)
	}
}
