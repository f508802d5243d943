package compile

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keyward/policies/engine"
)

// seal returns program with one byte of its body changed, and a digest that fits.
func seal(program []byte, at int, b byte) []byte {
	const header = 21
	if len(program) <= header {
		return program
	}
	program = slices.Clone(program)
	program[header+at%(len(program)-header)] ^= b
	sum := sha256.Sum256(program[header:])
	copy(program[5:header], sum[:])
	return program
}

// programsToChange returns programs that use much, and an input for them.
func programsToChange(t testing.TB) (programs [][]byte, input engine.Value) {
	t.Helper()
	for _, policy := range []string{
		examplePolicy,
		"package keyward\nallow if { every x in input.a { x.b[_] == data.c[x.d] } }\ndeny contains m if { some k, v in input; m := sprintf(\"%v %v\", [k, v]) with input.q as 1 }",
		"package keyward\np[x].y contains z if { some x, z in input }\nallow if p[input.x].y[1]\nask if data.other[input.r]\nask if data.c[input.a[_].d]",
		"package keyward\nallow := 1 if input.x == \"a\"\nallow := 2 if input.x == \"b\"\nallow := 3 if input.x == 3\nallow := 4 if input.x == \"d\"\nallow := [input.n, [input.n]] if input.x == \"e\"\ndeny contains 1 if { input.x in {\"a\", \"b\"}; input.n < 12; startswith(input.r, \"al\") }",
	} {
		r, err := Compile(Source{Modules: map[string]string{"p.rego": policy, "q.rego": "package other\nx := 1\nallow if input.n > 1"}, Data: map[string]any{"trusted": "a", "c": map[string]any{"x": 1.5}}}, Options{Wide: true})
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, r.Program)
	}
	input, err := engine.ParseJSON([]byte(`{"a":[{"b":[1],"d":"x"}],"n":11,"r":"allow","x":"a","consumer":{"kind":"a","labels":{"l":"blocked"}}}`), engine.JSONLimits{})
	if err != nil {
		t.Fatal(err)
	}
	return programs, input
}

// TestChangedPrograms changes programs: what still loads must run without a
// panic and within its limits. MUTATIONS sets how many are tried.
func TestChangedPrograms(t *testing.T) {
	programs, input := programsToChange(t)
	n, _ := strconv.Atoi(cmp.Or(os.Getenv("MUTATIONS"), "20000"))
	rnd := rand.New(rand.NewPCG(1, 2))
	ran := 0
	for range n {
		changed := programs[rnd.IntN(len(programs))]
		for range 1 + rnd.IntN(3) {
			changed = seal(changed, rnd.IntN(1<<16), byte(1<<rnd.IntN(8)))
		}
		p, err := engine.Load(changed)
		if err != nil {
			if !errors.Is(err, engine.ErrProgram) {
				t.Fatal(err)
			}
			continue
		}
		ran++
		evalAll(t, p, input)
	}
	t.Logf("%d of %d changed programs loaded", ran, n)
}

// FuzzProgram does the same with whatever the fuzzer makes of a program; its
// digest is made to fit, so that the decoder behind it is reached.
func FuzzProgram(f *testing.F) {
	programs, input := programsToChange(f)
	for _, p := range append(programs, found(f, "testdata/found-programs.json")...) {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		p, err := engine.Load(seal(program, 0, 0))
		if err != nil {
			if !errors.Is(err, engine.ErrProgram) {
				t.Fatal(err)
			}
			return
		}
		evalAll(t, p, input)
	})
}

// found are the inputs of a long run of the fuzzer that reached something new.
func found(f *testing.F, file string) (list [][]byte) {
	f.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	if err := json.Unmarshal(b, &list); err != nil {
		f.Fatal(err)
	}
	return list
}

// inputOf is what a fuzzer's bytes make of the names and values that the policies
// ask for; no bytes make null.
func inputOf(b *[]byte, depth int) string {
	next := func(list ...string) string {
		if len(*b) == 0 {
			return list[0]
		}
		n := int((*b)[0]) % len(list)
		*b = (*b)[1:]
		return list[n]
	}
	kind := next("null", "object", "array", "text", "number", "true")
	if depth == 5 && (kind == "object" || kind == "array") {
		kind = "null"
	}
	var parts []string
	switch kind {
	case "text":
		return next(`""`, `"a"`, `"b"`, `"al"`, `"allow"`, `"x"`, `"blocked"`, `"1"`, `"\u00e9"`)
	case "number":
		return next("0", "1", "11", "12", "3", "-1", "1.5", "1e400", "12345678901234567890")
	case "object":
		for name := range strings.FieldsSeq(next("", "a", "n", "r x", "a n r x", "b d", "x a", "consumer", "kind labels", "k v c", "d b")) {
			parts = append(parts, `"`+name+`":`+inputOf(b, depth+1))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case "array":
		for range len(next("", "1", "12", "123")) {
			parts = append(parts, inputOf(b, depth+1))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return kind
}

// FuzzInput asks policies that use much about any input: the text that the fuzzer
// makes, and what it stands for.
func FuzzInput(f *testing.F) {
	programs, _ := programsToChange(f)
	var loaded []*engine.Program
	for _, b := range programs {
		p, err := engine.Load(b)
		if err != nil {
			f.Fatal(err)
		}
		loaded = append(loaded, p)
	}
	for _, s := range []string{`{"a":[{"b":[1],"d":"x"}],"n":11,"r":"allow","x":"a"}`, `{"x":{"y":1},"r":[],"n":1e400}`, `[]`, `null`} {
		f.Add([]byte(s))
	}
	for _, b := range found(f, "testdata/found-inputs.json") {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		stands := text
		made, err := engine.ParseJSON([]byte(inputOf(&stands, 0)), engine.JSONLimits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range loaded {
			evalAll(t, p, made)
		}
		input, err := engine.ParseJSON(text, engine.JSONLimits{})
		if err != nil {
			return
		}
		for _, p := range loaded {
			evalAll(t, p, input)
		}
	})
}

func evalAll(t *testing.T, p *engine.Program, input engine.Value) {
	t.Helper()
	vm := p.NewVM(engine.Limits{Instructions: 10_000, Memory: 1 << 20, Depth: 32})
	vm.Begin(input, 1)
	for _, name := range p.Entrypoints() {
		e, _ := p.Entrypoint(name)
		v, err := vm.Eval(e)
		var ee *engine.Error
		if err != nil && !errors.As(err, &ee) {
			t.Fatalf("%v, %v", v, err)
		}
		_ = v.String()
		vm.AppendRules(nil)
	}
}
