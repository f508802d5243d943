package link

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"keyward/tools/wasmlink/leb"
)

func TestAProgramWithoutSymbolsStillRecovers(t *testing.T) {
	wasm := compile(t, "recover")
	m, err := parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(m.image, []byte("main.deep")) {
		t.Fatal("there are no names to begin with")
	}
	if err := dropSymbols(m.image); err != nil {
		t.Fatal(err)
	}
	again := bytes.Clone(m.image)
	if err := dropSymbols(again); err != nil || !bytes.Equal(again, m.image) {
		t.Errorf("dropping twice changes something, or fails: %v", err)
	}
	small := bytes.Clone(header)
	for _, s := range m.sections {
		switch s.id {
		case customSection:
		case dataSection:
			small = appendData(small, m.image)
		default:
			small = append(small, s.raw...)
		}
	}
	if bytes.Contains(small, []byte("main.deep")) || len(small) > len(wasm)*95/100 {
		t.Errorf("%d bytes of %d are left, or names are", len(small), len(wasm))
	}
	if got := output(t, small); !strings.HasPrefix(got, "recovered") {
		t.Errorf("it ended with %.600s", got)
	}
}

func TestDataReadsBackAsItWasWritten(t *testing.T) {
	image := make([]byte, 5000)
	for i := range image {
		if i%100 < 37 || i%7 == 0 && i < 2000 {
			image[i] = byte(i%255) + 1
		}
	}
	section := appendData(nil, image)
	r := &reader{b: section[1:]}
	got, err := readData(r.bytes())
	if err != nil || !bytes.Equal(got, bytes.TrimRight(image, "\x00")) {
		t.Errorf("%d bytes became %d, %v", len(image), len(got), err)
	}
	for _, v := range []int32{0, 1, -1, 63, 64, -64, -65, 8191, 8192, math.MaxInt32, math.MinInt32} {
		r := &reader{b: leb.AppendSigned(nil, int64(v))}
		if got := r.s32(); got != v || r.end() != nil {
			t.Errorf("%d was read as %d, %v", v, got, r.err)
		}
	}
}

func FuzzDropSymbols(f *testing.F) {
	f.Add(append(bytes.Clone(pcMagic), make([]byte, 200)...))
	f.Fuzz(func(_ *testing.T, image []byte) { _ = dropSymbols(image) })
}
