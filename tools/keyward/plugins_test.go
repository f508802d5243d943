package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"keyward/tools/wasmlink/link"
)

// keyward runs the command line and returns what it printed.
func keyward(args ...string) (string, error) {
	var out strings.Builder
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.Execute()
	return out.String(), err
}

// builtPlugins is a folder with a plugin under the name of each of ours, one
// that does nothing: what is in it is no concern of these commands.
func builtPlugins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	raw := filepath.Join(dir, "raw.wasm")
	cmd := exec.CommandContext(t.Context(), "go", "build",
		"-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", raw, "../wasmlink/link/testdata/plugin")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, msg)
	}
	wasm, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	linked, err := link.Link(wasm)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gate.wasm", "key-swap.wasm"} {
		writeFile(t, filepath.Join(dir, name), linked)
	}
	return dir
}

func writeFile(t *testing.T, name string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

const wholeSnapshot = `{"format":"keyward.snapshot/1","epoch":"e","generation":1}`

func TestPlugins(t *testing.T) {
	dir := builtPlugins(t)
	snapshot := writeFile(t, filepath.Join(dir, "snapshot.json"), []byte(wholeSnapshot))

	t.Run("list says where each plugin stands", func(t *testing.T) {
		out, err := keyward("plugins", "list", "--dir", dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"gate      AUTHN              325 ", "key-swap  UNSPECIFIED_PHASE  10 "} {
			if !strings.Contains(out, want) {
				t.Errorf("output lacks %q:\n%s", want, out)
			}
		}
	})

	t.Run("manifest prints both resources", func(t *testing.T) {
		out, err := keyward("plugins", "manifest", "--dir", dir, "--url-base", "https://files.test/p", "--snapshot", snapshot)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"name: keyward-gate\n", "name: keyward-key-swap\n", "failStrategy: FAIL_CLOSE\n", "url: https://files.test/p/gate/",
			`"format": "keyward.snapshot/1"`, "valueFrom: HOST\n",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("output lacks %q:\n%s", want, out)
			}
		}
	})

	t.Run("image and manifest agree on the digest", func(t *testing.T) {
		images := filepath.Join(t.TempDir(), "images")
		out, err := keyward("plugins", "image", "--dir", dir, "--out", images)
		if err != nil {
			t.Fatal(err)
		}
		name, digest, _ := strings.Cut(strings.Split(out, "\n")[0], " sha256:")
		manifest, err := keyward("plugins", "manifest", "--dir", dir, "--url-base", "oci://registry.test/k", "--snapshot", snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if want := "url: oci://registry.test/k/" + name + "\n  sha256: " + digest + "\n"; !strings.Contains(manifest, want) {
			t.Errorf("manifest lacks %q:\n%s", want, manifest)
		}
		if _, err := os.Stat(filepath.Join(images, "blobs", "sha256", digest)); err != nil {
			t.Error(err)
		}
	})

	t.Run("image writes one plugin into a tar file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "gate.tar")
		out, err := keyward("plugins", "image", "--dir", dir, "--out", file, "--plugin", "gate")
		if err != nil || strings.Count(out, "\n") != 1 {
			t.Fatalf("%v, printed %q", err, out)
		}
		if b, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(b), "blobs/sha256/") {
			t.Errorf("the file is no tar of a layout: %v", err)
		}
	})
}

func TestPluginsRefuse(t *testing.T) {
	dir := builtPlugins(t)
	good := writeFile(t, filepath.Join(dir, "good.json"), []byte(wholeSnapshot))
	bad := writeFile(t, filepath.Join(dir, "bad.json"), []byte(wholeSnapshot+`,"x":{}`))
	unlinked := t.TempDir()
	raw, err := os.ReadFile(filepath.Join(dir, "raw.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(unlinked, "gate.wasm"), raw)

	tests := []struct {
		name, wantErr string
		args          []string
	}{
		{"a folder without plugins", "make plugins", []string{"list", "--dir", t.TempDir()}},
		{"a plugin that was not linked", "not linked", []string{"list", "--dir", unlinked}},
		{"a manifest without snapshot", "snapshot", []string{"manifest", "--dir", dir, "--url-base", "http://h.test"}},
		{"a manifest without URL", "url-base", []string{"manifest", "--dir", dir, "--snapshot", good}},
		{"a snapshot that breaks out of its place", "bad.json: line 1, column ", []string{"manifest", "--dir", dir, "--url-base", "http://h.test", "--snapshot", bad}},
		{"an unknown plugin", `no plugin is called "x"`, []string{"image", "--dir", dir, "--out", filepath.Join(dir, "o"), "--plugin", "x"}},
		{"a folder in use", "not empty", []string{"image", "--dir", dir, "--out", dir}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := keyward(append([]string{"plugins"}, tt.args...)...)
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error = %v, want one with %q; printed %s", err, tt.wantErr, out)
			}
		})
	}
}
