package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// A Layout is an OCI image layout: images by the name under which tools such as
// skopeo, oras and crane find them in it.
type Layout map[string]Image

type index struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// files returns the layout's files by path.
func (l Layout) files() (map[string][]byte, error) {
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`)}
	idx := index{SchemaVersion: 2, MediaType: typeIndex}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		img := l[name]
		entry := describe(typeManifest, img.manifest)
		entry.Annotations = map[string]string{"org.opencontainers.image.ref.name": name}
		idx.Manifests = append(idx.Manifests, entry)
		for _, blob := range [][]byte{img.manifest, img.config, img.layer} {
			files["blobs/sha256/"+digest(blob)] = blob
		}
	}
	var err error
	files["index.json"], err = json.Marshal(idx)
	return files, err
}

// WriteDir writes the layout into a new or empty folder.
func (l Layout) WriteDir(dir string) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("folder %q is not empty", dir)
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	files, err := l.files()
	if err != nil {
		return err
	}
	for name, b := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// WriteTar writes the layout as a tar file, which skopeo knows as oci-archive.
func (l Layout) WriteTar(out io.Writer) error {
	files, err := l.files()
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := w.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name])),
			ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
		})
		if err != nil {
			return err
		}
		if _, err := w.Write(files[name]); err != nil {
			return err
		}
	}
	return w.Close()
}
