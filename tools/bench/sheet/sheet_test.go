package sheet

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMerge(t *testing.T) {
	name := filepath.Join(t.TempDir(), "dist", "sheet.json")
	for _, members := range []any{
		struct{ Kills, Lost int }{7, 1},
		struct {
			Lost  int
			Found float64
		}{0, 0.5},
	} {
		if err := Merge(name, members); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"Found":0.5,"Kills":7,"Lost":0}` + "\n"; string(got) != want {
		t.Errorf("the file holds %s, want %s", got, want)
	}
	if err := os.WriteFile(name, []byte("[1]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Merge(name, struct{ A int }{1}); err == nil {
		t.Error("wrote over a file that holds something else")
	}
}
