package arch

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

func TestEveryDirectDependencyHasItsReason(t *testing.T) {
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	rationale := string(read(t, "docs/rationale.md"))
	for _, r := range mod.Require {
		if !r.Indirect && !strings.Contains(rationale, "| `"+r.Path+"` |") {
			t.Errorf("docs/rationale.md has no row for `%s`: say why it is taken, what it weighs and how it would be replaced, or drop it", r.Path)
		}
	}
}
