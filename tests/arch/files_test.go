package arch

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// maxLines is where a Go file is split by noun: what is longer is read by
// nobody from top to bottom.
const maxLines = 350

var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func TestGoFilesAreShortEnoughToRead(t *testing.T) {
	for _, name := range files(t, ".go") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src := read(t, name)
		if n := bytes.Count(src, []byte("\n")); n > maxLines && !generated.Match(src) {
			t.Errorf("%s has %d lines, more than %d: split it by noun", name, n, maxLines)
		}
	}
}

func TestEveryPolicyFileHasATestBesideIt(t *testing.T) {
	for _, name := range files(t, ".rego") {
		if strings.HasSuffix(name, "_test.rego") || strings.Contains(name, "testdata/") {
			continue
		}
		beside := strings.TrimSuffix(name, ".rego") + "_test.rego"
		if _, err := os.Stat(filepath.Join(root, beside)); err != nil {
			t.Errorf("%s has no %s: a rule without a test is a rule nobody knows", name, filepath.Base(beside))
		}
	}
}

func TestNoBuildOutputIsCommitted(t *testing.T) {
	for _, name := range files(t, "") {
		f, err := os.Open(filepath.Join(root, name))
		if err != nil {
			continue // a link to nowhere is no build output
		}
		head := make([]byte, 4)
		n, _ := f.Read(head)
		f.Close()
		switch string(head[:n]) {
		case "\x00asm", "\x7fELF":
			t.Errorf("%s is a binary: build output is never committed, its hash is published instead", name)
		}
	}
}
