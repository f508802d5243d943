// Package image packs a wasm module as an OCI image that Higress and Istio
// load: a standard image (https://github.com/opencontainers/image-spec, v1.1)
// whose only layer holds the file plugin.wasm.
//
// The same module gives the same bytes, so that its digest can be written into
// a resource before the image is pushed anywhere. (It changes with the Go
// toolchain's compressor.)
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// File is the name under which a gateway looks for the module.
const File = "plugin.wasm"

// MaxBytes is the largest module that is packed.
const MaxBytes = 64 << 20

// Media types of the image specification.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

// An Image is a packed module.
type Image struct{ manifest, config, layer []byte }

// Digest is the SHA-256 of the manifest in hexadecimal: what a registry calls
// the image by, and what a resource's sha256 must be.
func (i Image) Digest() string { return digest(i.manifest) }

// A descriptor refers to a blob.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

type config struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	RootFS       rootFS `json:"rootfs"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"` // of the layers before compression
}

// New packs a module.
func New(wasm []byte) (Image, error) {
	if len(wasm) > MaxBytes {
		return Image{}, fmt.Errorf("module has %d bytes, more than %d", len(wasm), MaxBytes)
	}
	files, err := archive(wasm)
	if err != nil {
		return Image{}, fmt.Errorf("packing the module: %w", err)
	}
	layer, err := compress(files)
	if err != nil {
		return Image{}, fmt.Errorf("packing the module: %w", err)
	}
	conf, err := json.Marshal(config{
		Architecture: "wasm",
		OS:           "wasip1",
		RootFS:       rootFS{Type: "layers", DiffIDs: []string{"sha256:" + digest(files)}},
	})
	if err != nil {
		return Image{}, err
	}
	man, err := json.Marshal(manifest{
		SchemaVersion: 2,
		MediaType:     typeManifest,
		Config:        describe(typeConfig, conf),
		Layers:        []descriptor{describe(typeLayer, layer)},
	})
	if err != nil {
		return Image{}, err
	}
	return Image{manifest: man, config: conf, layer: layer}, nil
}

// archive is a tar file with the module in it, owned by nobody in particular
// and written at no time.
func archive(wasm []byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: File, Mode: 0o644, Size: int64(len(wasm)),
		ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	})
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(wasm); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func compress(files []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(files); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func describe(mediaType string, blob []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: "sha256:" + digest(blob), Size: len(blob)}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
