package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// maxLine bounds one event; go test splits longer output itself.
const maxLine = 1 << 20

// An event is one line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build event
	Test       string // "" for the package itself
	Elapsed    float64
	Output     string
}

// A summary counts the results of tests, subtests among them, and of packages
// that failed outside any test.
type summary struct {
	passed, failed, skipped int
}

func (s summary) ok() bool { return s.failed == 0 && s.passed > 0 }

// testKey names a test; an empty test is the package.
type testKey struct{ pkg, test string }

type summarizer struct {
	summary
	out    io.Writer
	output map[testKey]*bytes.Buffer // of what has not ended yet
	failed map[string]bool           // packages in which a test failed
	skips  []string
}

// summarize copies what matters from the events in r to w. Lines that are no
// events are copied as they are.
func summarize(r io.Reader, w io.Writer) (summary, error) {
	s := &summarizer{out: w, output: map[testKey]*bytes.Buffer{}, failed: map[string]bool{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(w, lines.Text())
			continue
		}
		s.add(e)
	}
	if err := lines.Err(); err != nil {
		return summary{}, fmt.Errorf("reading events: %w", err)
	}
	for _, skip := range s.skips {
		fmt.Fprintln(w, skip)
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", s.passed, s.summary.failed, s.skipped)
	return s.summary, nil
}

func (s *summarizer) add(e event) {
	key := testKey{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "output":
		if s.output[key] == nil {
			s.output[key] = new(bytes.Buffer)
		}
		s.output[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(e)
		}
		delete(s.output, key)
	}
}

func (s *summarizer) endTest(e event) {
	switch e.Action {
	case "pass":
		s.passed++
	case "fail":
		s.summary.failed++
		s.failed[e.Package] = true
		s.print(e)
	case "skip":
		s.skipped++
		s.skips = append(s.skips, fmt.Sprintf("SKIP\t%s %s: %s", e.Package, e.Test, s.reason(e)))
	}
}

func (s *summarizer) endPackage(e event) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(s.out, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
	case "fail":
		if !s.failed[e.Package] { // it did not build, or failed outside any test
			s.summary.failed++
		}
		s.printUnended(e.Package)
		fmt.Fprintf(s.out, "FAIL\t%s\t%.1fs\n", e.Package, e.Elapsed)
	}
}

func (s *summarizer) print(e event) {
	if b := s.output[testKey{e.Package, e.Test}]; b != nil {
		_, _ = b.WriteTo(s.out) // a lost line of a report fails no test
	}
}

// printUnended shows what a package and its tests said that never ended, as
// when it ran out of time.
func (s *summarizer) printUnended(pkg string) {
	keys := slices.SortedFunc(maps.Keys(s.output), func(a, b testKey) int { return strings.Compare(a.test, b.test) })
	for _, key := range keys {
		if key.pkg == pkg {
			s.print(event{Package: key.pkg, Test: key.test})
			delete(s.output, key)
		}
	}
}

// reason is what a skipped test said, on one line.
func (s *summarizer) reason(e event) string {
	b := s.output[testKey{e.Package, e.Test}]
	if b == nil {
		return "no reason given"
	}
	var said []string
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") {
			continue
		}
		said = append(said, line)
	}
	return strings.Join(said, " ")
}
