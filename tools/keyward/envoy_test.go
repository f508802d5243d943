package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyward/plugins/snapshot"
)

func TestEnvoyCommand(t *testing.T) {
	dir := t.TempDir()
	write := func(content []byte) string {
		file := filepath.Join(dir, "snapshot.json")
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	run := func(file string) error {
		root := newRoot()
		root.SetArgs([]string{"envoy", "--snapshot", file, "--plugins", "dist", "--out", dir})
		return root.Execute()
	}
	good := snapshot.Encode(&snapshot.Snapshot{Format: snapshot.Format, Epoch: "e", Generation: 1})
	if err := run(write(good)); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "gate.json"))
	if err != nil || !strings.Contains(string(before), "gate.wasm") {
		t.Fatalf("gate.json = %q, %v", before, err)
	}
	if err := run(write(good[:len(good)/2])); err == nil || !strings.Contains(err.Error(), "snapshot.json") {
		t.Errorf("a snapshot that is cut short ends with %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "gate.json")); err != nil || string(after) != string(before) {
		t.Error("a bad snapshot changes gate.json")
	}
}
