package admission

import "testing"

func TestIDs(t *testing.T) {
	i := &ids{vm: [5]byte{0xff, 0xff, 0xff, 0xff, 0xff}}
	a := i.next(1_469_922_850_259 * 1e6)
	if want := "01ARZ3NDEKZZZZZZZZ00000001"; a != want {
		t.Errorf("next = %q, want %q", a, want)
	}
	if b := i.next(1_469_922_850_259 * 1e6); b <= a {
		t.Errorf("IDs do not sort: %q then %q", a, b)
	}
}
