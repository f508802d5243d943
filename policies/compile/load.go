package compile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/util"
)

// Load reads policy and data from paths as `opa` does: Rego files, JSON and
// YAML documents, bundles, and folders of them, where a document's folder says
// where it goes; "a.b:path" puts a path below data.a.b. Tests, files called
// *_test.rego, are left out unless withTests. Below a folder, what begins with a
// dot is left out, such as a .git folder.
func Load(paths []string, withTests bool) (Source, error) {
	files, err := regoFiles(paths, withTests)
	if err != nil {
		return Source{}, err
	}
	skip := func(_ string, info fs.FileInfo, depth int) bool {
		return depth > 0 && isHidden(info.Name()) || !info.IsDir() && filepath.Ext(info.Name()) == ".rego"
	}
	rest := make([]string, 0, len(paths))
	for _, p := range paths {
		if filepath.Ext(p) != ".rego" {
			rest = append(rest, p)
		}
	}
	src := Source{Modules: map[string]string{}, Data: map[string]any{}}
	if len(rest) > 0 {
		r, err := loader.NewFileLoader().WithRegoVersion(ast.RegoV1).WithSkipBundleVerification(true).Filtered(rest, skip)
		if err != nil {
			return Source{}, err
		}
		src.Data = r.Documents
		for name, m := range r.Modules { // those of bundles
			if withTests || !isTest(name) {
				src.Modules[name] = string(m.Raw)
			}
		}
	}
	for _, name := range files {
		text, err := readBounded(name)
		if err != nil {
			return Source{}, err
		}
		src.Modules[name] = text
	}
	if len(src.Modules) == 0 {
		return src, fmt.Errorf("%w in %s", ErrNoRego, strings.Join(paths, ", "))
	}
	return src, nil
}

// ErrNoRego is the error of [Load] where there are no policies; data there may be.
var ErrNoRego = errors.New("no Rego files")

// JSONOf returns the JSON of a document of YAML.
func JSONOf(document []byte) ([]byte, error) {
	var x any
	if err := util.Unmarshal(document, &x); err != nil {
		return nil, err
	}
	return json.Marshal(x)
}

// LoadBundles reads bundles as `opa -b` does: archives, or folders of which only
// policies and files called data.json or data.yaml count. No two may have
// the same document.
func LoadBundles(paths []string, withTests bool) (Source, error) {
	src := Source{Modules: map[string]string{}, Data: map[string]any{}}
	for _, p := range paths {
		b, err := loader.NewFileLoader().WithRegoVersion(ast.RegoV1).WithSkipBundleVerification(true).AsBundle(p)
		if err != nil {
			return Source{}, err
		}
		for _, m := range b.Modules {
			if withTests || !isTest(m.Path) {
				src.Modules[m.Path] = string(m.Raw)
			}
		}
		if err := src.mergeData(b.Data); err != nil {
			return Source{}, fmt.Errorf("%s: %w", p, err)
		}
	}
	return src, nil
}

// Add puts what other has to what s has already.
func (s *Source) Add(other Source) error {
	for name, text := range other.Modules {
		if _, double := s.Modules[name]; double {
			return fmt.Errorf("%s is given twice", name)
		}
		s.Modules[name] = text
	}
	return s.mergeData(other.Data)
}

func (s *Source) mergeData(data map[string]any) error {
	if s.Data == nil {
		s.Data = map[string]any{}
	}
	return mergeInto(s.Data, data)
}

// mergeInto adds what from has; both may have objects at one place, and nothing
// else.
func mergeInto(to, from map[string]any) error {
	for name, v := range from {
		old, ok := to[name]
		if !ok {
			to[name] = v
			continue
		}
		a, ok1 := old.(map[string]any)
		b, ok2 := v.(map[string]any)
		if !ok1 || !ok2 {
			return fmt.Errorf("data: %q is given twice", name)
		}
		if err := mergeInto(a, b); err != nil {
			return err
		}
	}
	return nil
}

// regoFiles returns the Rego files that paths are or contain.
func regoFiles(paths []string, withTests bool) ([]string, error) {
	var files []string
	for _, p := range paths {
		_, p = loader.SplitPrefix(p)
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			if filepath.Ext(p) == ".rego" {
				files = append(files, p)
			}
			continue
		}
		err = filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case name != p && isHidden(d.Name()) && d.IsDir():
				return filepath.SkipDir
			case d.IsDir() || isHidden(d.Name()):
			case filepath.Ext(name) == ".rego" && (withTests || !isTest(name)):
				files = append(files, name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

func isTest(name string) bool { return strings.HasSuffix(name, "_test.rego") }

func readBounded(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if info.Size() > MaxSourceBytes {
		return "", fmt.Errorf("%s: %d bytes, more than %d", name, info.Size(), MaxSourceBytes)
	}
	b, err := os.ReadFile(name)
	return string(b), err
}
