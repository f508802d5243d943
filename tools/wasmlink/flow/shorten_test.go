package flow

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"

	"keyward/tools/wasmlink/leb"
)

// Locals of the functions that are shortened here, beside the stack pointer.
const (
	localI32  = 2
	localI64  = 3
	frameSize = 512
)

// straight is a function of one node; it ends in a return of 0.
func straight(code []byte) []byte {
	b := []byte{3, 1, typeI32, 1, typeI32, 1, 0x7e}
	b = append(append(b, prologue[:]...), opBlock, void, opLocalGet, 0, opBrTable, 0, 0, opEnd)
	return append(append(b, code...), opI32Const, 0, opReturn, opEnd)
}

// A statements writes code as the Go compiler does, by chance.
type statements struct {
	*rand.Rand
	b []byte
}

func (s *statements) op(ops ...byte) { s.b = append(s.b, ops...) }

// address is a place in the frame, in one of the forms of one.
func (s *statements) address(at int64) {
	switch s.IntN(4) {
	case 0: // a pointer that was kept
		s.op(opLocalGet, 1, opI32Const)
		s.b = leb.AppendSigned(s.b, at)
		s.op(opI32Add, opLocalTee, localI32)
	case 1:
		s.op(opLocalGet, 1, opExtend, opI64Const)
		s.b = leb.AppendSigned(s.b, at-8)
		s.op(opI64Add, opI64Const, 8, opI64Add, opWrap)
	default:
		s.op(opLocalGet, 1, opExtend, opI64Const)
		s.b = leb.AppendSigned(s.b, at)
		s.op(opI64Add, opWrap)
	}
}

func (s *statements) place() int64 { return 8 + 8*s.Int64N(frameSize/16) }

func (s *statements) value() {
	switch s.IntN(5) {
	case 0:
		s.op(opLocalGet, localI64)
	case 1:
		s.address(s.place())
		s.op(opI64Load, 3, byte(s.IntN(64)))
	case 2: // a condition as Go makes a number of it
		s.op(opLocalGet, localI64, opI64Eqz, opExtend)
		if s.IntN(2) == 0 {
			s.op(opI64Eqz, opI32Eqz, opExtend)
		}
	case 3: // a pointer into the frame
		s.op(opLocalGet, 1, opExtend, opI64Const)
		s.b = leb.AppendSigned(s.b, s.place())
		s.op(opI64Add)
	default:
		s.op(opI64Const)
		s.b = leb.AppendSigned(s.b, int64(s.Uint64()>>s.IntN(60)))
	}
}

func (s *statements) statement() {
	size := s.Int64N(160)
	switch s.IntN(7) {
	case 0:
		s.value()
		s.op(opLocalSet, localI64)
	case 1:
		s.address(s.place())
		s.address(frameSize + s.place())
		s.op(opI32Const)
		s.b = leb.AppendSigned(s.b, size)
		s.op(opBulk, bulkCopy, 0, 0)
	case 2:
		s.address(s.place())
		s.op(opI32Const, byte(s.IntN(2)), opI32Const)
		s.b = leb.AppendSigned(s.b, size)
		s.op(opBulk, bulkFill, 0)
	case 3:
		s.value()
		s.op(opI64Eqz, opExtend, opI64Eqz, opI32Eqz, opIf, void)
		s.statement()
		s.op(opEnd)
	case 4: // the frame moves while an address waits
		s.address(s.place())
		s.op(opLocalGet, 1, opI32Const, 8, opI32Add, opLocalSet, 1)
		s.value()
		s.op(0x37, 3, 0, opLocalGet, 1, opI32Const, 8, opI32Sub, opLocalSet, 1)
	default:
		s.address(s.place())
		s.value()
		s.op(0x37, 3, byte(s.IntN(64)))
	}
}

// memoryAfter is what a body leaves behind.
func memoryAfter(t *testing.T, r wazero.Runtime, body []byte) []byte {
	t.Helper()
	ctx := context.Background()
	m, err := r.InstantiateWithConfig(ctx, module(body), wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatalf("a host does not take it: %v", err)
	}
	defer m.Close(ctx)
	for i := range uint32(4 * frameSize) {
		m.Memory().WriteByte(stack+i, byte(i*7+i>>3))
	}
	if _, err := m.ExportedFunction("f").Call(ctx, 0); err != nil {
		t.Fatal(err)
	}
	b, _ := m.Memory().Read(0, 1<<16)
	return bytes.Clone(b)
}

func TestShortCodeDoesTheSame(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	host := r.NewHostModuleBuilder("h")
	for _, name := range []string{"m", "s"} {
		host.NewFunctionBuilder().WithFunc(func(context.Context, uint32) uint32 { return 0 }).Export(name)
	}
	if _, err := host.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(1500) {
		s := &statements{Rand: rand.New(rand.NewPCG(seed, 2))}
		for range 1 + s.IntN(12) {
			s.statement()
		}
		body := straight(s.b)
		out, ok := Rewrite(body, Facts{Number: number})
		if !ok {
			t.Fatalf("seed %d: it is not rewritten: %x", seed, s.b)
		}
		if !bytes.Equal(memoryAfter(t, r, body), memoryAfter(t, r, out)) {
			t.Fatalf("seed %d:\n%x\nis no more what\n%x\ndoes", seed, out, body)
		}
	}
}

func TestShorten(t *testing.T) {
	sp := []byte{opLocalGet, 1, opExtend, opI64Const, 24, opI64Add, opWrap}
	for _, tt := range []struct {
		name      string
		in        []byte
		condition bool
		want      []byte
	}{
		{"a load from the frame", append(sp, opI64Load, 3, 8), false, []byte{opLocalGet, 1, opI64Load, 3, 32}},
		{"a store to it", append(sp, opI64Const, 5, 0x37, 3, 8), false, []byte{opLocalGet, 1, opI64Const, 5, 0x37, 3, 32}},
		{"an address in it", append(sp, opLocalSet, 2), false, []byte{opLocalGet, 1, opI32Const, 24, opI32Add, opLocalSet, 2}},
		{"a condition", []byte{opLocalGet, 3, opI64Eqz, opExtend, opI64Eqz, opI32Eqz}, true, []byte{opLocalGet, 3, opI64Eqz}},
		{"two negations that are a number", []byte{opLocalGet, 2, opI32Eqz, opI32Eqz}, false, []byte{opLocalGet, 2, opI32Eqz, opI32Eqz}},
		{
			"a copy in the frame", append(append(append([]byte{}, sp...), opLocalGet, 1), opI32Const, 12, opBulk, bulkCopy, 0, 0), false,
			[]byte{opLocalGet, 1, opLocalGet, 1, opI64Load, 0, 0, 0x37, 0, 24, opLocalGet, 1, opLocalGet, 1, 0x28, 0, 8, 0x36, 0, 32},
		},
		{
			"a clearing elsewhere",
			[]byte{opLocalGet, 2, opI32Const, 0, opI32Const, 8, opBulk, bulkFill, 0},
			false,
			[]byte{opLocalGet, 2, opLocalSet, 6, opLocalGet, 6, opI64Const, 0, 0x37, 0, 0},
		},
		{
			"a large copy",
			[]byte{opLocalGet, 2, opLocalGet, 1, opI32Const, 0x81, 1, opBulk, bulkCopy, 0, 0},
			false,
			[]byte{opLocalGet, 2, opLocalGet, 1, opI32Const, 0x81, 1, opBulk, bulkCopy, 0, 0},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, c := &function{scratch: 5}, &cursor{b: tt.in}
			var list []instruction
			for len(c.b) > 0 {
				list = append(list, c.next())
			}
			var got []byte
			for _, i := range f.shorten(list, tt.condition) {
				got = append(got, i.raw...)
			}
			if !bytes.Equal(got, tt.want) {
				t.Errorf("%x, want %x", got, tt.want)
			}
		})
	}
}
