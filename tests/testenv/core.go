package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// CoreDump is a core dump of a process, which goes on.
func CoreDump(t testing.TB, pid int) []byte {
	t.Helper()
	gcore := needProgram(t, "gcore")
	prefix := filepath.Join(t.TempDir(), "core")
	if out, err := exec.CommandContext(t.Context(), gcore, "-o", prefix, strconv.Itoa(pid)).CombinedOutput(); err != nil {
		t.Fatalf("gcore: %v\n%s", err, out)
	}
	b, err := os.ReadFile(prefix + "." + strconv.Itoa(pid))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
