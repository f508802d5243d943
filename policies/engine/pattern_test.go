//go:build !lean

package engine

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// FuzzPattern holds patterns against package regexp.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{
		"", "a", "^a+$", "(?i)(password|secret)", "^[a-z]+(_[a-z]+)*$", "a|b|", "$", "^", "$^", "^$", "a$|^b", "(^a|b$)+", "(a|b)*abb", `\ba\b`, "(?m)^a$", "(?s).", ".", "[^a]", "a{2,5}", "(?i)K", "[[:alpha:]]", `\x{212a}`, "(a*)*b", "(^)*a", "(a$)?b", "x*$", `\z`, `\Aa`, "(?:$a|b)",
	} {
		for _, s := range []string{"", "a", "b", "ab", "aabb", "my PassWord is", "create_issue", "a\nb", "\n", "é", "K", "aé", "\xff", strings.Repeat("ab", 20)} {
			f.Add(p, s, s+"x")
		}
	}
	f.Fuzz(func(t *testing.T, text, s, then string) {
		want, err := regexp.Compile(text)
		got, err2 := compilePattern(text)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %v and %v", text, err, err2)
		}
		if err != nil {
			return
		}
		for _, s := range []string{s, then, s} { // states are kept from text to text
			if got.MatchString(s) != want.MatchString(s) {
				t.Errorf("%q in %q: %v", text, s, !want.MatchString(s))
			}
		}
	})
}

// TestAPatternOfManyStatesStillFits asks one that has more than are kept.
func TestAPatternOfManyStatesStillFits(t *testing.T) {
	p, err := compilePattern("(a|b)*a(a|b){12}c")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var text string
	for range 5000 {
		text += string(rune('a' + r.IntN(2)))
	}
	if p.MatchString(text) || !p.MatchString(text+strings.Repeat("a", 13)+"c") || p.states != nil {
		t.Errorf("more than %d states", maxStates)
	}
}

// TestPatternsOfRequestsAreBounded lets requests bring pattern after pattern.
func TestPatternsOfRequestsAreBounded(t *testing.T) {
	image := Image{
		Data: emptyObject, Builtins: []BuiltinRef{{"regex.match", 2}, {"glob.match", 3}}, Operands: []int32{0, 0, 0, 1, 0},
		Code: []Instr{{Op: OpBuiltin, A: 2, B: 0, C: 0, T: 1}, {Op: OpBuiltin, A: 2, B: 1, C: 2, T: 2}, {Op: OpReturn, A: 2}}, Locs: make([]Loc, 3),
		Funcs: []Function{{End: 3, Params: 2, Regs: 3}}, Entrypoints: []EntrypointRef{{Name: "p"}}, Consts: []Value{emptyArray},
	}
	image.Operands[3] = ^0
	vm, e := machine(t, &image)
	for i := range 5 * maxPatterns {
		vm.Begin(String("p"+strconv.Itoa(i)), 0)
		if v, err := vm.Eval(e); err != nil || !v.isTrue() {
			t.Fatal(v, err)
		}
	}
	if r, g := len(vm.caches.regexes), len(vm.caches.globs); r > maxPatterns || g > maxPatterns || r == 0 || g == 0 {
		t.Errorf("%d regular expressions and %d globs are kept", r, g)
	}
}

// machine loads a program and gives what evaluates its entrypoint "p".
func machine(t *testing.T, image *Image) (*VM, Entrypoint) {
	t.Helper()
	program, err := image.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Load(program)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := p.Entrypoint("p")
	return p.NewVM(Limits{}), e
}
