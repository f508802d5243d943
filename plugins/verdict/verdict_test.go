package verdict_test

import (
	"testing"

	"keyward/plugins/verdict"
)

func TestDecode(t *testing.T) {
	tests := []struct {
		name, in string
		want     verdict.Verdict
		ok       bool
	}{
		{"all fields", "1\nw\nt\nc\n7\nD", verdict.Verdict{Consumer: "w", Target: "t", Credential: "c", Generation: 7, Decision: "D"}, true},
		{"no credential", "1\nw\nt\n\n7\nD", verdict.Verdict{Consumer: "w", Target: "t", Generation: 7, Decision: "D"}, true},
		{"nothing", "", verdict.Verdict{}, false},
		{"another version", "2\nw\nt\nc\n7\nD", verdict.Verdict{}, false},
		{"no consumer", "1\n\nt\nc\n7\nD", verdict.Verdict{}, false},
		{"no target", "1\nw\n\nc\n7\nD", verdict.Verdict{}, false},
		{"no decision", "1\nw\nt\nc\n7\n", verdict.Verdict{}, false},
		{"a generation that is no number", "1\nw\nt\nc\nx\nD", verdict.Verdict{}, false},
		{"a negative generation", "1\nw\nt\nc\n-1\nD", verdict.Verdict{}, false},
		{"a field too few", "1\nw\nt\nc\n7", verdict.Verdict{}, false},
		{"a field too many", "1\nw\nt\nc\n7\nD\nx", verdict.Verdict{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := verdict.Decode([]byte(tt.in))
			if (err == nil) != tt.ok || got != tt.want {
				t.Errorf("Decode(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
			}
		})
	}
}

// The law: what is read is what was written, and nothing else is read.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("1\nw\nt\nc\n7\nD"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := verdict.Decode(b)
		if err != nil {
			if v != (verdict.Verdict{}) {
				t.Errorf("refused, but read %+v", v)
			}
			return
		}
		again, err := verdict.Decode(v.Encode())
		if err != nil || again != v {
			t.Errorf("%+v became %+v, %v", v, again, err)
		}
	})
}
