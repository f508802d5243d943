package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "keyward"
	root   = "../.." // of the repository, as seen from this folder
)

// A goPackage is what `go list -json` says of one package.
type goPackage struct {
	ImportPath   string
	Name         string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

// testOnlyImports are the imports that only p's tests have.
func (p goPackage) testOnlyImports() []string {
	return slices.DeleteFunc(slices.Concat(p.TestImports, p.XTestImports), func(path string) bool {
		return path == p.ImportPath || slices.Contains(p.Imports, path)
	})
}

// isUnder reports whether path is parent or lies below it.
func isUnder(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, strings.TrimSuffix(parent, "/")+"/")
}

// goList runs `go list -json` for the platform ("" is the host's).
func goList(t *testing.T, goos, goarch string, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{
		"list", "-e=false", "-json=ImportPath,Name,Standard,Imports,TestImports,XTestImports,Deps",
	}, args...)...)
	cmd.Dir = root
	cmd.Env = os.Environ()
	if goos != "" {
		cmd.Env = append(cmd.Env, "GOOS="+goos, "GOARCH="+goarch)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	var list []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
		}
		list = append(list, p)
	}
}

// files are the repository's files with one of the endings, by path from the
// root, tracked or about to be.
func files(t *testing.T, endings ...string) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var list []string
	for name := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
		if !slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(name, e) }) {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, name)); err == nil { // not deleted in the work tree
			list = append(list, name)
		}
	}
	if len(list) == 0 {
		t.Fatalf("no file ends in %q: the test looks in the wrong place", endings)
	}
	return list
}

// read returns a file of the repository.
func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
