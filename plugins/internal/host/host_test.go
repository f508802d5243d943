package host

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"keyward/plugins/filter"
)

func TestPairsAreReadAsTheyWereWritten(t *testing.T) {
	for _, list := range [][][2]string{
		{},
		{{":method", "POST"}, {"x", ""}, {"x", "y"}, {"", "\x00\xff"}},
		make([][2]string, 300),
	} {
		got, err := readPairs(appendPairs(nil, list))
		if err != nil || !slices.Equal(got, list) {
			t.Errorf("%q is read as %q, %v", list, got, err)
		}
	}
}

func TestPairsThatLieAboutTheirSizeAreRefused(t *testing.T) {
	whole := appendPairs(nil, [][2]string{{"name", "value"}, {"a", "b"}})
	for n := range whole {
		if got, err := readPairs(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are read as %q", n, len(whole), got)
		}
	}
	for at := 0; at < 20; at += 4 {
		for _, v := range []uint32{1 << 31, 1<<32 - 1, 1<<32 - 2, 1 << 29} {
			b := slices.Clone(whole)
			binary.LittleEndian.PutUint32(b[at:], v)
			if got, err := readPairs(b); err == nil {
				t.Errorf("%d at %d is read as %q", v, at, got)
			}
		}
	}
}

func FuzzPairs(f *testing.F) {
	f.Add(appendPairs(nil, [][2]string{{"name", "value"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := readPairs(b)
		if err != nil {
			return
		}
		again, err := readPairs(appendPairs(nil, list))
		if err != nil || !slices.Equal(again, list) {
			t.Errorf("%q is read again as %q, %v", list, again, err)
		}
	})
}

func TestWhatAHostReturnsIsTakenFromItsMemoryAlone(t *testing.T) {
	give := func(size uint32) { slot.data, slot.size = address(memory.allocate(size)), size }
	for _, c := range []struct {
		what string
		do   func()
		ok   bool
	}{
		{"nothing", func() {}, true},
		{"all it asked for", func() { give(10) }, true},
		{"a large value", func() { give(chunkBytes) }, true},
		{"less than it asked for", func() { give(10); slot.size = 4 }, true},
		{"an empty value", func() { give(0) }, true},
		{"more than it asked for", func() { give(10); slot.size = 11 }, false},
		{"an address beside it", func() { give(10); slot.data++ }, false},
		{"an address it did not ask for", func() { slot.data, slot.size = 4096, 8 }, false},
		{"a size without an address", func() { slot.size = 8 }, false},
		{"what it asked for before the last", func() { give(10); memory.allocate(4) }, false},
	} {
		expect(nil)
		c.do()
		b, err := returned(done)
		if (err == nil) != c.ok || len(b) != 0 && len(b) != int(slot.size) {
			t.Errorf("%s: %d bytes, %v", c.what, len(b), err)
		}
	}
	expect(nil)
	give(10)
	if _, err := returned(notFound); err != filter.ErrNotFound {
		t.Errorf("what is not found gives %v", err)
	}
}

func TestMemoryIsHandedOutOnce(t *testing.T) {
	var a arena
	for size := range uint32(3 * chunkBytes) {
		if size%7 != 0 {
			continue
		}
		p := a.allocate(size)
		for _, b := range a.last {
			if b != 0 {
				t.Fatalf("%d bytes are not empty", size)
			}
		}
		if *p = 1; len(a.last) < int(size) || cap(a.last) != len(a.last) {
			t.Fatalf("%d bytes asked for, %d given", size, len(a.last))
		}
	}
}

func TestABriefValueLastsForItsCallback(t *testing.T) {
	give := func(in *scratch, text string) []byte {
		expect(in)
		p := memory.allocate(uint32(len(text)))
		copy(unsafe.Slice(p, len(text)), text)
		slot.data, slot.size = address(p), uint32(len(text))
		b, err := returned(done)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	callback()
	large := strings.Repeat("large", len(brief.bytes)/5)
	var values [][]byte
	for _, text := range []string{"one", "two", large, "three"} {
		values = append(values, give(&brief, text))
	}
	kept := give(nil, "kept")
	if got := string(bytes.Join(values, nil)); got != "onetwo"+large+"three" {
		t.Errorf("in one callback they overwrite each other: %.20s", got)
	}
	callback()
	give(&brief, "ONE")
	if got := string(values[0]) + string(values[2]) + string(kept); got != "ONE"+large+"kept" {
		t.Errorf("after the next callback: %.20s", got)
	}
}

func TestOnlyARequestIsKept(t *testing.T) {
	defer func(b bool) { bodies = b }(bodies)
	for _, shown := range []bool{false, true} {
		bodies = shown
		for _, side := range []filter.Side{filter.Request, filter.Response, filter.RequestTrailers, filter.ResponseTrailers} {
			if kept := scratchOf(side) == nil; kept != (shown && side == filter.Request) {
				t.Errorf("shown bodies: %v, side %d is kept: %v", shown, side, kept)
			}
		}
	}
}

func TestStreamsAreFoundWhateverTheirNumbers(t *testing.T) {
	var all streams
	var ids []uint32
	for i := range uint32(300) {
		ids = append(ids, i, i*slots, 1<<32-1-i)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		all.put(&stream{id: id})
	}
	for i, id := range ids {
		if s := all.get(id); s == nil || s.id != id {
			t.Fatalf("stream %d is found as %v", id, s)
		}
		if i%2 == 0 {
			all.remove(id)
		}
	}
	for i, id := range ids {
		if s := all.get(id); (s == nil) != (i%2 == 0) {
			t.Fatalf("stream %d is found as %v", id, s)
		}
	}
	if len(all.rest) > len(ids)/2 {
		t.Errorf("%d streams are kept of %d", len(all.rest), len(ids)/2)
	}
}
