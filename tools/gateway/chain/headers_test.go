package chain_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyward/tools/gateway/chain"
)

func TestHeaders(t *testing.T) {
	h := chain.NewHeaders([2]string{"a", "1"}, [2]string{"b", ""}, [2]string{"a", "2"})
	check := func(name, want string, wantFound bool) {
		t.Helper()
		if got, found := h.Get(name); got != want || found != wantFound {
			t.Errorf("Get(%q) = %q, %v, want %q, %v", name, got, found, want, wantFound)
		}
	}
	check("a", "1,2", true)
	check("b", "", true)
	check("c", "", false)
	h.Set("a", "3")
	h.Set("c", "4")
	h.Add("c", "5")
	h.Remove("b")
	h.Remove("absent")
	want := [][2]string{{"a", "3"}, {"c", "4"}, {"c", "5"}}
	if d := cmp.Diff(want, h.Pairs()); d != "" {
		t.Errorf("headers (-want +got):\n%s", d)
	}
}

func TestNewHeadersKeepsTheCallersSlice(t *testing.T) {
	list := [][2]string{{"a", "1"}}
	chain.NewHeaders(list...).Set("a", "2")
	if list[0][1] != "1" {
		t.Error("the caller's slice was changed")
	}
}
