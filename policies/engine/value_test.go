package engine

import (
	"testing"
)

func mustParse(t testing.TB, s string) Value {
	t.Helper()
	v, err := ParseJSON([]byte(s), JSONLimits{})
	if err != nil {
		t.Fatalf("ParseJSON(%q): %v", s, err)
	}
	return v
}

func TestCompareFollowsTheOrderOfRego(t *testing.T) {
	set := func(s string) Value {
		var elems []Value
		for e := range mustParse(t, s).Elems() {
			elems = append(elems, e)
		}
		return Set(elems)
	}
	asc := []Value{
		{},
		Null, Bool(false), Bool(true),
		mustParse(t, `-1e400`), mustParse(t, `-9223372036854775809`), Int(-1 << 63), Int(-1), mustParse(t, `-1e-400`), Int(0), mustParse(t, `1e-400`),
		mustParse(t, `0.5`), Int(1), mustParse(t, `1.5`), Int(1 << 60), mustParse(t, `9223372036854775808`), mustParse(t, `1e20`), mustParse(t, `1e400`),
		String(""), String("a"), String("aa"), String("b"), String("é"),
		mustParse(t, `[]`), mustParse(t, `[1]`), mustParse(t, `[1,1]`), mustParse(t, `[2]`),
		mustParse(t, `{}`), mustParse(t, `{"a":1}`), mustParse(t, `{"a":1,"b":0}`), mustParse(t, `{"a":2}`), mustParse(t, `{"b":0}`),
		set(`[]`), set(`[1]`), set(`[2,1]`), set(`[2]`),
	}
	for i, a := range asc {
		for j, b := range asc {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := Compare(a, b); got != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
			}
			if got := a.Equal(b); got != (want == 0) {
				t.Errorf("%v.Equal(%v) = %v", a, b, got)
			}
		}
	}
}

func TestNumbersAreEqualHoweverWritten(t *testing.T) {
	for _, group := range [][]string{
		{"1", "1.0", "1e0", "10e-1", "0.1E1"},
		{"0", "-0", "0.0", "0e5", "-0.00"},
		{"9007199254740993", "9007199254740993.0", "9.007199254740993e15"},
		{"123456789012345678901234567890", "123456789012345678901234567890.00"},
	} {
		for _, x := range group {
			for _, y := range group {
				a, b := mustParse(t, x), mustParse(t, y)
				if !a.Equal(b) {
					t.Errorf("%s is not equal to %s", x, y)
				}
				if a.Text() != x {
					t.Errorf("text of %s is %s", x, a.Text())
				}
			}
		}
	}
}

func TestNumberRefusesWhatIsNotJSON(t *testing.T) {
	for _, s := range []string{"", "-", "01", "1.", ".5", "+1", "1e", "0x10", "1_000", "NaN", " 1", "1 ", "1e25001"} {
		if v, err := Number(s); err == nil {
			t.Errorf("Number(%q) = %v, want an error", s, v)
		}
	}
}

func TestCollectionsAreFound(t *testing.T) {
	var b ObjectBuilder
	for i := range 100 {
		b.Set(string(rune('a'+i%26))+string(rune('A'+i/26)), Int(int64(i)))
	}
	b.Set("nothing", Value{})
	o := b.Value()
	if o.Len() != 100 {
		t.Fatalf("%d members, want 100", o.Len())
	}
	for name, v := range o.Members() {
		got, ok := o.Get(name)
		if !ok || !got.Equal(v) || !o.lookup(String(name)).Equal(v) {
			t.Errorf("Get(%q) = %v, %v; want %v", name, got, ok, v)
		}
	}
	if v, ok := o.Get("zz"); ok {
		t.Errorf("found %v under a name that is not there", v)
	}
	mixed := Object([]Member{{String("1"), String("text")}, {Int(1), String("old")}, {mustParse(t, "1.0"), String("new")}})
	if got := mixed.lookup(Int(1)); mixed.Len() != 2 || !got.Equal(String("new")) {
		t.Errorf("%v[1] = %v, want the last of equal keys", mixed, got)
	}
	set := Set([]Value{Int(2), String("x"), mustParse(t, "2.0"), Null, {}})
	if set.Len() != 3 || !set.contains(Null) || set.contains(Int(3)) {
		t.Errorf("set is %v", set)
	}
	arr := Array([]Value{Int(5), {}})
	if !arr.Index(1).Equal(Null) || !arr.Index(2).IsUndefined() || !arr.Index(-1).IsUndefined() || !arr.lookup(mustParse(t, "0.0")).Equal(Int(5)) {
		t.Errorf("array is %v", arr)
	}
}
