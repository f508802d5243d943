package flow

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"keyward/tools/wasmlink/leb"
)

// The subject is function 1 of a module whose function 0 is the host's: it says
// whether the goroutine stops there, as a callee does.
const (
	number  = 0x1001
	stack   = 1024 // the stack pointer
	fuel    = 300  // nodes until the subject returns
	perNode = 2    // places a node, of which only the first is used
)

var everyEnd = []string{"falls", "jumps", "returns", "calls", "calls what never comes back"}

// A shape is a function to be: what each node does after some jumps of its own.
type shape []struct {
	jumps []int // taken or not as chance has it
	end   string
	to    int
}

func randomShape(r *rand.Rand) shape {
	s := make(shape, 2+r.IntN(12))
	for i := range s {
		for range r.IntN(3) {
			s[i].jumps = append(s[i].jumps, 1+r.IntN(len(s)-1))
		}
		s[i].end, s[i].to = everyEnd[r.IntN(len(everyEnd))], 1+r.IntN(len(s)-1)
	}
	return s
}

// body writes a shape as the Go compiler does.
func (s shape) body() []byte {
	b := []byte{1, 1, typeI32} // local 1: the stack pointer
	b = append(b, prologue[:]...)
	b = append(b, opBlock, void, opLoop, void)
	n := len(s) + 1 // the last node is where a last one would begin
	for range n {
		b = append(b, opBlock, void)
	}
	b = append(b, opLocalGet, 0, opBrTable)
	b = leb.AppendUnsigned(b, uint32(n*perNode))
	for i := range n * perNode {
		b = leb.AppendUnsigned(b, uint32(i/perNode))
	}
	b = append(leb.AppendUnsigned(b, uint32(n-1)), opEnd)
	for i, node := range s {
		depth := n - 1 - i // blocks between here and the loop
		// The trace is a number that every node changes in its own way.
		b = append(b, opGlobalGet, 1, opI64Const, 31, 0x7e, opI64Const)
		b = append(leb.AppendSigned(b, int64(i+1)), 0x7c, 0x24, 1)
		// if --fuel == 0 { return 0 }
		b = append(b, opGlobalGet, 2, opI32Const, 1, opI32Sub, 0x24, 2, opGlobalGet, 2, opI32Eqz, opIf, void, opI32Const, 0, opReturn, opEnd)
		for _, to := range node.jumps {
			// chance = chance*1103515245 + 12345
			b = append(leb.AppendSigned(append(b, opGlobalGet, 3, opI32Const), 1103515245), 0x6c)
			b = append(leb.AppendSigned(append(b, opI32Const), 12345), 0x6a, 0x24, 3)
			b = append(b, opGlobalGet, 3, opI32Const, 17, 0x76, opI32Const, 1, 0x71, opIf, void)
			b = append(jumpTo(b, to, depth+1), opEnd)
		}
		switch node.end {
		case "jumps":
			b = jumpTo(b, node.to, depth)
		case "returns":
			b = append(b, opI32Const, 0, opReturn)
		case "calls", "calls what never comes back":
			// The parameter is used as a place for something else, as calls of closures do.
			b = append(b, opI32Const, 5, opLocalSet, 0, opI32Const, 0, opLocalGet, 0, 0x1a, 0x1a)
			b = append(b, opLocalGet, 1, opI64Const)
			b = append(leb.AppendSigned(b, number<<16|int64((i+1)*perNode)), 0x37, 3, 0)
			callee := byte(0)
			if node.end != "calls" {
				callee = 1
			}
			b = append(b, opI32Const, 0, opCall, callee, opGlobalGet, 0, opLocalSet, 1, opBrIf)
			b = leb.AppendUnsigned(b, uint32(depth+1))
		}
		b = append(b, opEnd)
	}
	b = append(b, opUnreachable)
	return append(b, opEnd, opUnreachable, opEnd, opI32Const, 1, opEnd)
}

func jumpTo(b []byte, node, depth int) []byte {
	b = append(leb.AppendSigned(append(b, opI32Const), int64(node*perNode)), opLocalSet, 0, opBr)
	return leb.AppendUnsigned(b, uint32(depth))
}

func (s shape) rewritten() ([]byte, bool) {
	return Rewrite(s.body(), Facts{Number: number, Ends: func(i uint32) bool { return i == 1 }})
}

// module puts a body into a module: functions "may stop" and "stops" of the host,
// then the subject.
func module(body []byte) []byte {
	section := func(b []byte, id byte, body ...byte) []byte {
		return append(leb.AppendUnsigned(append(b, id), uint32(len(body))), body...)
	}
	b := []byte("\x00asm\x01\x00\x00\x00")
	b = section(b, 1, 1, 0x60, 1, typeI32, 1, typeI32)
	b = section(b, 2, append(append([]byte{2, 1, 'h', 1, 'm', 0, 0}, 1, 'h', 1, 's'), 0, 0)...)
	b = section(b, 3, 1, 0)
	b = section(b, 5, 1, 0, 1)
	globals := []byte{4}
	for _, g := range []struct {
		typ  byte
		init int64
	}{{typeI32, stack}, {0x7e, 7}, {typeI32, fuel}, {typeI32, 99}} {
		op := byte(opI32Const)
		if g.typ == 0x7e {
			op = opI64Const
		}
		globals = append(leb.AppendSigned(append(globals, g.typ, 1, op), g.init), opEnd)
	}
	b = section(b, 6, globals...)
	b = section(b, 7, 4, 1, 'f', 0, 2, 1, 'm', 2, 0, 1, 't', 3, 1, 1, 'c', 3, 3)
	code := append(leb.AppendUnsigned([]byte{1}, uint32(len(body))), body...)
	return section(b, 10, code...)
}

// run calls a body, and again where it stopped, until it returns. The result
// tells which nodes it went through.
func run(t *testing.T, r wazero.Runtime, body []byte) string {
	t.Helper()
	ctx := context.Background()
	calls, ended := uint32(0), false
	host := r.NewHostModuleBuilder("h")
	host.NewFunctionBuilder().WithFunc(func(context.Context, uint32) uint32 {
		calls = calls*1664525 + 1013904223
		return calls >> 30 & 1
	}).Export("m")
	host.NewFunctionBuilder().WithFunc(func(context.Context, uint32) uint32 { ended = true; return 1 }).Export("s")
	h, err := host.Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close(ctx)
	m, err := r.InstantiateWithConfig(ctx, module(body), wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatalf("a host does not take it: %v", err)
	}
	defer m.Close(ctx)
	place, trace := uint64(0), ""
	for range fuel {
		out, err := m.ExportedFunction("f").Call(ctx, place)
		trace += fmt.Sprint(m.ExportedGlobal("t").Get(), " ", m.ExportedGlobal("c").Get(), " ")
		switch {
		case err != nil:
			return trace + "trap"
		case api.DecodeI32(out[0]) == 0:
			return trace + "returns"
		case ended:
			return trace + "ends"
		}
		address, _ := m.Memory().Read(stack, 8)
		place = binary.LittleEndian.Uint64(address) & 0xffff
	}
	return trace + "goes on"
}

// The law: whatever the ways between a function's nodes, and wherever goroutines
// stop in it, it does the same as before.
func TestEveryFunctionDoesTheSame(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	runtime := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter())
	defer runtime.Close(context.Background())
	kept := 0
	for seed := range uint64(rounds) {
		s := randomShape(rand.New(rand.NewPCG(seed, 1)))
		out, ok := s.rewritten()
		if !ok {
			kept++ // some loop has two ways in
			continue
		}
		if _, again := Rewrite(out, Facts{Number: number}); again {
			t.Fatalf("seed %d: it is rewritten twice: %v", seed, s)
		}
		if want, got := run(t, runtime, s.body()), run(t, runtime, out); got != want {
			t.Fatalf("seed %d: %v\nwas %s\nis  %s\n%x", seed, s, want, got, out)
		}
	}
	t.Logf("%d of %d have a loop with two ways in", kept, rounds)
	if kept > rounds*2/3 {
		t.Errorf("only %d of %d functions were rewritten", rounds-kept, rounds)
	}
}

func TestWhatIsNotOfTheFormStays(t *testing.T) {
	good := shape{{end: "jumps", to: 2}, {end: "falls"}, {jumps: []int{1}, end: "returns"}}
	if _, ok := good.rewritten(); !ok {
		t.Fatal("the usual form is not rewritten")
	}
	twoWaysIn := shape{{jumps: []int{2}, end: "falls"}, {end: "falls"}, {jumps: []int{1}, end: "returns"}}
	for name, body := range map[string][]byte{
		"a loop with two ways in": twoWaysIn.body(),
		"nothing":                 nil,
		"no dispatcher":           append(append([]byte{1, 1, typeI32}, prologue[:]...), opI32Const, 0, opEnd),
		"no stack pointer":        append([]byte{1, 1, typeI32, opGlobalGet, 1}, good.body()[5:]...),
		"an unknown instruction":  bytes.Replace(good.body(), []byte{opI64Const, 31, 0x7e}, []byte{0xfd, 0x7c, 0x7c}, 1),
		"something behind":        append(good.body(), opEnd),
		"the end missing":         good.body()[:len(good.body())-1],
	} {
		if out, ok := Rewrite(body, Facts{Number: number}); ok || !bytes.Equal(out, body) {
			t.Errorf("%s: it is rewritten", name)
		}
	}
	if _, ok := Rewrite(good.body(), Facts{Number: number, DeferReturn: 1000}); ok {
		t.Error("a place beyond the table: it is rewritten")
	}
}

// A function that always panics goes on where nothing else leads to.
func TestAPlaceAfterARecoveredPanicIsKept(t *testing.T) {
	s := shape{{end: "calls what never comes back"}, {end: "falls"}, {end: "returns"}}
	out, ok := Rewrite(s.body(), Facts{Number: number, DeferReturn: 2 * perNode, Ends: func(i uint32) bool { return i == 1 }})
	if !ok {
		t.Fatal("it is not rewritten")
	}
	if got := enter(t, out, 2*perNode); got != nil {
		t.Errorf("entered after a recovered panic: %v", got)
	}
	if got := enter(t, out, 1*perNode); got == nil {
		t.Error("entered where nobody stops, it goes on")
	}
}

// enter calls a body as a goroutine does that goes on at a place in it.
func enter(t *testing.T, body []byte, place uint64) error {
	t.Helper()
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
	m, err := r.Instantiate(ctx, module(body))
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.ExportedFunction("f").Call(ctx, place)
	return err
}

func TestAPlaceWhereNobodyStopsTraps(t *testing.T) {
	s := shape{{end: "calls"}, {end: "jumps", to: 3}, {end: "returns"}, {end: "returns"}}
	out, ok := s.rewritten()
	if !ok {
		t.Fatal("it is not rewritten")
	}
	for place, want := range map[uint64]bool{0: true, 2: true, 3: true, 4: false, 6: false, 100: false} {
		if err := enter(t, out, place); (err == nil) != want {
			t.Errorf("entered at %d: %v", place, err)
		}
	}
}

func FuzzRewrite(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomShape(rand.New(rand.NewPCG(seed, 1))).body())
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		out, ok := Rewrite(body, Facts{Number: number, DeferReturn: 1, Ends: func(i uint32) bool { return i == 1 }})
		if ok == bytes.Equal(out, body) {
			t.Errorf("rewritten: %v, but the body is the same: %v", ok, !ok)
		}
	})
}
