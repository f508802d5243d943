package engine_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"keyward/policies/engine"
)

func TestJSONDecoderSaysWhere(t *testing.T) {
	d := engine.NewJSONDecoder([]byte(` { "a" : [ 1 , {"b/~c":"x"} ] } `), engine.JSONLimits{})
	want := []struct {
		kind    byte
		text    string
		pointer string
		end     int
	}{
		{'{', "", "", 2},
		{'"', "a", "/a", 6},
		{'[', "", "/a", 10},
		{'0', "1", "/a/0", 12},
		{'{', "", "/a/1", 16},
		{'"', "b/~c", "/a/1/b~1~0c", 22},
		{'"', "x", "/a/1/b~1~0c", 26},
		{'}', "", "/a/1", 27},
		{']', "", "/a", 29},
		{'}', "", "", 31},
	}
	for i, w := range want {
		if k := d.PeekKind(); k != w.kind {
			t.Errorf("token %d: PeekKind = %q, want %q", i, k, w.kind)
		}
		tok, err := d.ReadToken()
		if err != nil {
			t.Fatalf("token %d: %v", i, err)
		}
		if tok.Kind() != w.kind || tok.String() != w.text || d.Pointer() != w.pointer || d.Offset() != w.end {
			t.Errorf("token %d = %q %q at %q ending at %d, want %+v", i, tok.Kind(), tok.String(), d.Pointer(), d.Offset(), w)
		}
	}
	if err := d.End(); err != nil {
		t.Error(err)
	}
}

func TestJSONDecoderManyNames(t *testing.T) {
	object := func(last string) []byte {
		b := []byte("{")
		for c := byte('a'); c <= 'z'; c++ {
			b = append(b, '"', c, '"', ':', '1', ',')
		}
		return append(append(append(b, '"'), last...), `":1}`...)
	}
	if err := engine.NewJSONDecoder(object("A"), engine.JSONLimits{}).SkipValue(); err != nil {
		t.Errorf("distinct names: %v", err)
	}
	var e *engine.JSONError
	if err := engine.NewJSONDecoder(object("b"), engine.JSONLimits{}).SkipValue(); !errors.As(err, &e) || e.Kind != engine.JSONDuplicate {
		t.Errorf("a name twice: %v, want a duplicate", err)
	}
}

// FuzzJSONDecoder compares it with an independent strict tokenizer and with
// ParseJSON: all three must agree on what is one JSON value.
func FuzzJSONDecoder(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5e3,"x\u00e9\ud83d\ude00",true,null]}`, `{"a":1,"\u0061":2}`, `[1,]`, `{"a"}`, `{,}`, `[,1]`, `1 2`, `"\ud800"`,
		`{"a":1,}`, `-`, `01`, `[[[]]]`, "\ufeff1", `{"a":{"b":{}}}`, ` `, `{1:2}`, `nul`, `[1 2]`, `{"a" 1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		lim := engine.JSONLimits{Depth: 100, Values: 1 << 20}
		_, parseErr := engine.ParseJSON(b, lim)
		var e *engine.JSONError
		if errors.As(parseErr, &e) && (e.Kind == engine.JSONDepth || e.Kind == engine.JSONSize) {
			return // bounds of ours
		}
		d := engine.NewJSONDecoder(b, lim)
		ours := d.SkipValue()
		if ours == nil {
			ours = d.End()
		}
		if (ours == nil) != (parseErr == nil) {
			t.Fatalf("decoder: %v, ParseJSON: %v on %q", ours, parseErr, b)
		}
		theirs := jsontext.NewDecoder(bytes.NewReader(b))
		err := theirs.SkipValue()
		if err == nil {
			if _, err = theirs.ReadToken(); err == io.EOF {
				err = nil
			} else if err == nil {
				err = errors.New("trailing data")
			}
		}
		if (ours == nil) != (err == nil) {
			t.Fatalf("decoder: %v, jsontext: %v on %q", ours, err, b)
		}
	})
}
