package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pull takes the module out of a layout as a gateway does: index, manifest,
// last layer, plugin.wasm. It checks every digest and media type on the way.
func pull(t *testing.T, layout fs.FS, name string) (wasm []byte, manifestDigest string) {
	t.Helper()
	var idx index
	decode(t, read(t, layout, "index.json"), &idx)
	if idx.SchemaVersion != 2 || idx.MediaType != typeIndex {
		t.Errorf("index is %d %s", idx.SchemaVersion, idx.MediaType)
	}
	for _, entry := range idx.Manifests {
		if entry.Annotations["org.opencontainers.image.ref.name"] != name {
			continue
		}
		var man manifest
		decode(t, blob(t, layout, entry, typeManifest), &man)
		if man.SchemaVersion != 2 || man.MediaType != typeManifest || len(man.Layers) != 1 {
			t.Fatalf("manifest is %+v", man)
		}
		var conf config
		decode(t, blob(t, layout, man.Config, typeConfig), &conf)
		files := gunzip(t, blob(t, layout, man.Layers[0], typeLayer))
		want := config{"wasm", "wasip1", rootFS{"layers", []string{"sha256:" + digest(files)}}}
		if diff := cmp.Diff(want, conf); diff != "" {
			t.Errorf("config (-want +got):\n%s", diff)
		}
		return untar(t, files), entry.Digest
	}
	t.Fatalf("no image %q in the index", name)
	return nil, ""
}

func read(t *testing.T, layout fs.FS, name string) []byte {
	t.Helper()
	b, err := fs.ReadFile(layout, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t *testing.T, b []byte, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
}

func blob(t *testing.T, layout fs.FS, d descriptor, mediaType string) []byte {
	t.Helper()
	b := read(t, layout, "blobs/"+strings.Replace(d.Digest, ":", "/", 1))
	if got := describe(mediaType, b); got.Digest != d.Digest || got.Size != d.Size || got.MediaType != d.MediaType {
		t.Errorf("blob is %+v, described as %+v", got, d)
	}
	return b
}

func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	files, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if !r.ModTime.IsZero() || r.Name != "" {
		t.Errorf("the compressed layer says when or from where: %v %q", r.ModTime, r.Name)
	}
	return files
}

func untar(t *testing.T, files []byte) []byte {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(files))
	h, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if h.Name != "plugin.wasm" || h.Mode != 0o644 || h.ModTime.Unix() != 0 || h.Uname != "" {
		t.Errorf("file is %+v", h)
	}
	wasm, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("there is more than one file: %v", err)
	}
	return wasm
}

func TestLayoutGivesTheModuleBack(t *testing.T) {
	gate, swap := []byte("\x00asm gate"), bytes.Repeat([]byte("\x00asm key-swap"), 1000)
	layout := Layout{"gate": newImage(t, gate), "key-swap": newImage(t, swap)}
	dir := t.TempDir()
	if err := layout.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"gate": gate, "key-swap": swap} {
		wasm, manifestDigest := pull(t, os.DirFS(dir), name)
		if !bytes.Equal(wasm, want) {
			t.Errorf("%s: module differs", name)
		}
		if got := "sha256:" + layout[name].Digest(); got != manifestDigest {
			t.Errorf("%s: Digest = %s, the index says %s", name, got, manifestDigest)
		}
	}
	if got, want := string(read(t, os.DirFS(dir), "oci-layout")), `{"imageLayoutVersion":"1.0.0"}`; got != want {
		t.Errorf("oci-layout = %s, want %s", got, want)
	}
}

func TestTarHoldsTheFilesOfTheFolder(t *testing.T) {
	layout := Layout{"gate": newImage(t, []byte("\x00asm"))}
	want, err := layout.files()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := layout.WriteTar(&out); err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if got[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestTheSameModuleGivesTheSameImage(t *testing.T) {
	one, other := newImage(t, []byte("\x00asm")), newImage(t, []byte("\x00asm"))
	if one.Digest() != other.Digest() {
		t.Error("two images of one module differ")
	}
	if one.Digest() == newImage(t, []byte("\x00asm2")).Digest() {
		t.Error("images of different modules have one digest")
	}
}

func TestNewRefusesTooLargeAModule(t *testing.T) {
	if _, err := New(make([]byte, MaxBytes+1)); err == nil {
		t.Error("no error")
	}
}

func TestWriteDirLeavesOtherFilesAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/mine", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (Layout{}).WriteDir(dir); err == nil {
		t.Error("a folder in use is written to")
	}
}

func newImage(t *testing.T, wasm []byte) Image {
	t.Helper()
	img, err := New(wasm)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
