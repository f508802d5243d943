package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/fsnotify/fsnotify"
	"go.yaml.in/yaml/v3"
)

// A Folder is a Place in a folder of YAML files, one resource a file, as the API
// server of a stand-alone Higress keeps them in /data/wasmplugins. It reads them
// again when they change.
type Folder struct{ dir string }

var _ Place = Folder{}

// NewFolder returns the place in dir, which must exist.
func NewFolder(dir string) (Folder, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", dir)
	}
	return Folder{dir}, err
}

func (f Folder) path(name string) string { return filepath.Join(f.dir, name+".yaml") }

// Apply implements [Place]. A file is replaced whole: who reads it sees the old
// or the new one. One that can't be read as YAML is replaced, too, since it would
// keep the API server from listing any.
func (f Folder) Apply(_ context.Context, r Resource) (Change, error) {
	want, err := object(r)
	if err != nil {
		return Change{}, err
	}
	text, err := readBounded(f.path(r.Metadata.Name))
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing && !errors.Is(err, errTooLarge) {
		return Change{}, err
	}
	var have map[string]any
	if !missing && err == nil {
		have, _ = decodeObject(text) // nil: not to be read, and so replaced
	}
	if have != nil && same(have, want) {
		return Change{}, nil
	}
	version, _ := strconv.ParseUint(asText(member(have, "metadata")["resourceVersion"]), 10, 63) // absent: 0
	if err := f.write(r, version+1); err != nil {
		return Change{}, err
	}
	if missing {
		return Change{Kind: Created}, nil
	}
	return Change{Kind: Repaired}, nil
}

// write puts r into its file. The version is a counter that the API server
// compares.
func (f Folder) write(r Resource, version uint64) error {
	text, err := Marshal([]Resource{r})
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	text, err = yaml.Marshal(withVersion(&doc, version))
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(f.dir, "."+r.Metadata.Name+".*.tmp")
	if err != nil {
		return err
	}
	_, err = io.Copy(tmp, bytes.NewReader(text))
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), f.path(r.Metadata.Name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// withVersion adds metadata.resourceVersion to a resource.
func withVersion(doc *yaml.Node, version uint64) *yaml.Node {
	root := doc.Content[0]
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == "metadata" {
			root.Content[i+1].Content = append(root.Content[i+1].Content,
				&yaml.Node{Kind: yaml.ScalarNode, Value: "resourceVersion"},
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: strconv.FormatUint(version, 10)})
		}
	}
	return doc
}

var errTooLarge = fmt.Errorf("larger than %d bytes", 4*MaxResourceBytes)

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // only read
	b, err := io.ReadAll(io.LimitReader(file, 4*MaxResourceBytes+1))
	if err == nil && len(b) > 4*MaxResourceBytes {
		err = fmt.Errorf("%s: %w", path, errTooLarge)
	}
	return b, err
}

func asText(v any) string {
	s, _ := v.(string) // absent or a number: empty
	return s
}

// Watch implements [Place].
func (f Folder) Watch(ctx context.Context, names []string, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Add(f.dir); err != nil {
		return err
	}
	changed() // what happened before the watch began
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.Errors:
			return err
		case e, ok := <-w.Events:
			if !ok {
				return errors.New("the watch of the folder ended")
			}
			for _, name := range names {
				if filepath.Base(e.Name) == name+".yaml" {
					changed()
				}
			}
		}
	}
}
