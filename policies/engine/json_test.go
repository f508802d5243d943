package engine

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestParseJSONReadsWhatIsStrict(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"an object is sorted by name", `{"b":1,"a":[true,false,null]}`, `{"a":[true,false,null],"b":1}`},
		{"numbers keep their text", `[1.0,-0,1e2,12345678901234567890,0.10,-7]`, `[1.0,-0,1e2,12345678901234567890,0.10,-7]`},
		{"white space is dropped", " {\t\"a\" :\r\n [ ] } \n", `{"a":[]}`},
		{"escapes are decoded", `"\u0041\n\"\\\/\u00e9\ud83d\ude00"`, `"A\n\"\\/é😀"`},
		{"U+FFFD itself is fine", "\"\ufffd\\ufffd\"", "\"\ufffd\ufffd\""},
		{"names alike but for case differ", `{"a":1,"A":2}`, `{"A":2,"a":1}`},
		{"the empty name is a name", `{"":{}}`, `{"":{}}`},
		{"a scalar is a value", `17`, `17`},
		{"control characters are written as escapes", `"\u0000\u001f"`, `"\u0000\u001f"`},
	}
	var reader JSONReader
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := ParseJSON([]byte(tt.in), JSONLimits{})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(v.AppendJSON(nil)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if again, err := reader.Read([]byte(tt.in), JSONLimits{}); err != nil || !again.Equal(v) {
				t.Errorf("a reader gives %v, %v", again, err)
			}
		})
	}
}

func TestParseJSONRefuses(t *testing.T) {
	many := `{"n0":0` + func() (s string) {
		for _, c := range "abcdefghijklmnopqrstuvwxyz" {
			s += `,"` + string(c) + `":0`
		}
		return s
	}()
	tests := []struct {
		name, in string
		lim      JSONLimits
		kind     JSONErrorKind
		offset   int
	}{
		{name: "nothing", in: ``, kind: JSONSyntax},
		{name: "a name given twice", in: `{"a":1,"a":1}`, kind: JSONDuplicate, offset: 7},
		{name: "a name given twice in an escape", in: `{"a":1,"\u0061":1}`, kind: JSONDuplicate, offset: 7},
		{name: "a name given twice deep inside", in: `[{"x":{"b":1,"c":2,"b":3}}]`, kind: JSONDuplicate, offset: 19},
		{name: "a name given twice among many", in: many + `,"k":1}`, kind: JSONDuplicate, offset: len(many) + 1},
		{name: "a byte order mark", in: "\ufeff{}", kind: JSONSyntax},
		{name: "two values", in: `{} {}`, kind: JSONTrailing, offset: 3},
		{name: "a NUL after the value", in: "{}\x00", kind: JSONTrailing, offset: 2},
		{name: "bytes that are not UTF-8", in: "\"a\xff\"", kind: JSONUTF8, offset: 2},
		{name: "bytes that are not UTF-8 in a name", in: "{\"\xc0\xaf\":1}", kind: JSONUTF8, offset: 2},
		{name: "a surrogate in UTF-8", in: "\"\xed\xa0\x80\"", kind: JSONUTF8, offset: 1},
		{name: "a high surrogate alone", in: `"\ud800"`, kind: JSONUTF8, offset: 1},
		{name: "a low surrogate alone", in: `"\udc00"`, kind: JSONUTF8, offset: 1},
		{name: "a high surrogate before a letter", in: `"\ud800\u0041"`, kind: JSONUTF8, offset: 1},
		{name: "deeper than allowed", in: `[[[1]]]`, lim: JSONLimits{Depth: 2}, kind: JSONDepth, offset: 2},
		{name: "ten thousand deep", in: strings.Repeat("[", 10_000), kind: JSONDepth, offset: 64},
		{name: "a million deep with a limit beyond the ceiling", in: strings.Repeat(`{"a":`, 1e6), lim: JSONLimits{Depth: 1e9, Values: 1e9}, kind: JSONDepth, offset: 5000},
		{name: "more values than allowed", in: `[1,2,3]`, lim: JSONLimits{Values: 3}, kind: JSONSize, offset: 5},
		{name: "names count as values", in: `{"a":1,"b":2}`, lim: JSONLimits{Values: 4}, kind: JSONSize, offset: 11},
		{name: "a number too long to reckon with", in: strings.Repeat("9", 1025), kind: JSONSize},
		{name: "an exponent too large to reckon with", in: `[1e999999999]`, kind: JSONSize, offset: 1},
		{name: "a leading zero", in: `01`, kind: JSONSyntax, offset: 1},
		{name: "a leading plus", in: `+1`, kind: JSONSyntax},
		{name: "a point without digits", in: `1.`, kind: JSONSyntax, offset: 2},
		{name: "an exponent without digits", in: `1e+`, kind: JSONSyntax, offset: 3},
		{name: "a number that is not one", in: `NaN`, kind: JSONSyntax},
		{name: "a comma too many", in: `[1,]`, kind: JSONSyntax, offset: 3},
		{name: "a comma too many in an object", in: `{"a":1,}`, kind: JSONSyntax, offset: 7},
		{name: "the wrong bracket", in: `[1}`, kind: JSONSyntax, offset: 2},
		{name: "a comment", in: `{/**/}`, kind: JSONSyntax, offset: 1},
		{name: "single quotes", in: `{'a':1}`, kind: JSONSyntax, offset: 1},
		{name: "a line end in a string", in: "\"a\n\"", kind: JSONSyntax, offset: 2},
		{name: "an unknown escape", in: `"\x41"`, kind: JSONSyntax, offset: 1},
		{name: "a cut escape", in: `"\u00`, kind: JSONSyntax, offset: 1},
		{name: "a string without end", in: `"abc`, kind: JSONSyntax, offset: 4},
		{name: "a literal in capitals", in: `True`, kind: JSONSyntax},
		{name: "an object without end", in: `{"a":1`, kind: JSONSyntax, offset: 6},
		{name: "the first integer that no float64 holds", in: `[9007199254740993]`, lim: JSONLimits{Doubles: true}, kind: JSONNumber, offset: 1},
		{name: "a fraction that a float64 takes for 5", in: `{"a":5.0000000000000001}`, lim: JSONLimits{Doubles: true}, kind: JSONNumber, offset: 5},
		{name: "a number that a float64 takes for 0", in: `1e-400`, lim: JSONLimits{Doubles: true}, kind: JSONNumber},
		{name: "a number that a float64 takes for infinity", in: `-1e309`, lim: JSONLimits{Doubles: true}, kind: JSONNumber},
	}
	var reader JSONReader
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, read := range []func([]byte, JSONLimits) (Value, error){ParseJSON, reader.Read} {
				v, err := read([]byte(tt.in), tt.lim)
				var je *JSONError
				if !errors.As(err, &je) || je.Kind != tt.kind || je.Offset != tt.offset {
					t.Errorf("got %v, %v; want kind %d at byte %d", v, err, tt.kind, tt.offset)
				}
			}
		})
	}
}

func TestDoublesAreWhatAFloat64Holds(t *testing.T) {
	for _, in := range []string{
		"0", "-0", "1", "9007199254740992", "-9007199254740992", "1e3", "1.50", "0.1", "0.30000000000000004", "5e-324",
		"1.7976931348623157e308", "1.7976931348623157E+308", "0.7999999999999999", "100000000000000000000", "1e-7", "0e999",
	} {
		if _, err := ParseJSON([]byte(in), JSONLimits{Doubles: true}); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestJSONReaderAllocatesNothing(t *testing.T) {
	var reader JSONReader
	text := []byte(`{"b": [1, 2.5e1, "x", {"y": null}], "a": {"k": true, "c": "é"}, "n": 12}`)
	read := func() {
		if _, err := reader.Read(text, JSONLimits{}); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if n := testing.AllocsPerRun(100, read); n > 1 { // 2.5e1 is a number of its own
		t.Errorf("%v allocations", n)
	}
}

// FuzzParseJSON holds the reader against jsontext: both accept the same texts,
// and what is accepted means the same.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.50,-0,"x\u00e9\ud83d\ude00"],"b":{"c":null}}`, `[]`, `"\ud800"`, `{"a":1,"\u0061":2}`, `1e5`, ` [true , false] `, "\xff", `{"a`, `[1,]`,
	} {
		f.Add([]byte(s))
	}
	var reader JSONReader
	f.Fuzz(func(t *testing.T, b []byte) {
		w, readErr := reader.Read(b, JSONLimits{Depth: maxDepth, Values: len(b) + 1})
		v, err := ParseJSON(b, JSONLimits{Depth: maxDepth, Values: len(b) + 1})
		canonical := jsontext.Value(bytes.Clone(b))
		wantErr := canonical.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
		if (err == nil) != (readErr == nil) || !v.Equal(w) {
			t.Fatalf("%q: %v, %v; from a reader %v, %v", b, v, err, w, readErr)
		}
		var je *JSONError
		if errors.As(err, &je) && (je.Kind == JSONSize || je.Kind == JSONDepth) {
			return // a bound that jsontext does not have
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: got error %v, jsontext %v", b, err, wantErr)
		}
		if err != nil {
			return
		}
		again := jsontext.Value(v.AppendJSON(nil))
		if err := again.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil {
			t.Fatalf("%q: written as %q: %v", b, again, err)
		}
		if !bytes.Equal(canonical, again) {
			t.Fatalf("%q: got %s, jsontext %s", b, again, canonical)
		}
	})
}
