package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	dir := t.TempDir()
	raw, out, golden := filepath.Join(dir, "raw.wasm"), filepath.Join(dir, "out.wasm"), filepath.Join(dir, "interface.txt")
	cmd := exec.CommandContext(t.Context(), "go", "build",
		"-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", raw, "./link/testdata/plugin")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, msg)
	}

	if err := run([]string{"-interface", golden, "-o", out, raw}, new(strings.Builder)); err == nil {
		t.Error("a missing interface file is no error")
	}
	if _, err := os.Stat(out); err == nil {
		t.Fatal("a module was written though its interface is unknown")
	}
	if err := run([]string{"-interface", golden, "-update", "-o", out, raw}, new(strings.Builder)); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	if err := run([]string{"-interface", golden, "-o", out, raw}, &printed); err != nil {
		t.Fatal(err)
	}
	linked, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := printed.String(), fmt.Sprintf("%x  %s\n", sha256.Sum256(linked), out); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}

	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	fewer := strings.Replace(string(text), "export proxy_on_tick (i32)\n", "", 1)
	if err := os.WriteFile(golden, []byte(fewer), 0o644); err != nil {
		t.Fatal(err)
	}
	err = run([]string{"-interface", golden, "-o", out, raw}, new(strings.Builder))
	if err == nil || !strings.Contains(err.Error(), "+ export proxy_on_tick (i32)") {
		t.Errorf("error = %v, want one that shows the new export", err)
	}
}

func TestRunRefusesWrongArguments(t *testing.T) {
	for _, args := range [][]string{nil, {"x.wasm"}, {"-o", "y.wasm"}, {"-o", "y.wasm", "a", "b"}, {"-o", "y.wasm", "missing.wasm"}} {
		if err := run(args, new(strings.Builder)); err == nil {
			t.Errorf("run(%q) succeeds", args)
		}
	}
}
