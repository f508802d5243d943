package filesync

import "testing"

func TestDecide(t *testing.T) {
	const a, b, c = "a", "b", "c"
	for _, tt := range []struct {
		base, here, there string
		sync, pull, push  deed
	}{
		{a, a, a, "", "", ""},
		{a, b, a, push, waitsForPush, push},
		{a, a, b, pull, pull, waitsForPull},
		{a, b, b, record, record, record},
		{a, b, c, conflict, conflict, conflict},
		{a, "", a, deleteThere, waitsForPush, deleteThere},
		{a, a, "", deleteHere, deleteHere, waitsForPull},
		{a, "", "", forget, forget, forget},
		{a, "", b, pull, pull, waitsForPull}, // an edit wins over a deletion
		{a, b, "", push, waitsForPush, push},
		{"", a, "", push, waitsForPush, push},
		{"", "", a, pull, pull, waitsForPull},
		{"", a, a, record, record, record},
		{"", a, b, conflict, conflict, conflict},
	} {
		for _, m := range []struct {
			mode
			want deed
		}{{modeSync, tt.sync}, {modePull, tt.pull}, {modePush, tt.push}} {
			if got := decide(m.mode, tt.base, tt.here, tt.there); got != m.want {
				t.Errorf("base %q, here %q, there %q, %+v: %q, want %q", tt.base, tt.here, tt.there, m.mode, got, m.want)
			}
		}
	}
}

// FuzzPlan has the deeds done to maps, and then looks: nothing that only one side
// had is lost, and both are alike after a synchronisation.
func FuzzPlan(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		base, here, there := map[string]string{}, map[string]string{}, map[string]string{}
		versions := []string{"", "a", "b", "c"}
		for i, v := range b {
			name := string(rune('A' + i%26))
			for j, side := range []map[string]string{base, here, there} {
				if etag := versions[v>>(2*j)&3]; etag != "" {
					side[name] = etag
				} else {
					delete(side, name)
				}
			}
		}
		kept := map[string]bool{} // versions that are somewhere afterwards
		for _, s := range plan(modeSync, base, here, there) {
			switch s.do {
			case pull, record:
				here[s.name] = s.there
			case push:
				there[s.name] = s.here
			case deleteHere:
				if here[s.name] != base[s.name] {
					t.Errorf("%+v deletes what has changed", s)
				}
				delete(here, s.name)
			case deleteThere:
				if there[s.name] != base[s.name] {
					t.Errorf("%+v deletes what has changed", s)
				}
				delete(there, s.name)
			case conflict:
				kept[s.name] = true
				here[s.name] = s.there
			case forget:
			default:
				t.Errorf("%+v", s)
			}
			if s.do == pull && s.here != "" && s.here != base[s.name] || s.do == push && s.there != "" && s.there != base[s.name] {
				t.Errorf("%+v overwrites what has changed", s)
			}
		}
		for name := range base {
			if here[name] != there[name] {
				t.Errorf("%s: %q here, %q there", name, here[name], there[name])
			}
		}
	})
}
