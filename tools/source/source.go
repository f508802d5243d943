// Package source reads the file from which people build a snapshot: YAML with the
// members of a snapshot, and the paths of a policy in place of its program.
//
// It is as strict as the snapshot's own form: no unknown and no duplicate member,
// no anchor, no tag, no null. Every error has a line and column.
package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyward/plugins/snapshot"
)

// Bounds of a source.
const (
	MaxBytes = snapshot.MaxBytes
	maxDepth = 32
)

// Defaults of members that a file without a Manager needs not have.
const (
	DefaultEpoch      = "file"
	DefaultGeneration = 1
)

// A Source is a file that was read.
type Source struct {
	// Snapshot is all but the policy. It is well formed, but nothing is known yet
	// about whether its entries fit together: see [Source.View].
	Snapshot *snapshot.Snapshot
	// Policy are the paths of Rego files, data and folders, as they are written;
	// nil: the snapshot has no policy.
	Policy []string

	root *yaml.Node
}

// An Error says what is wrong and where.
type Error struct {
	Line, Column int
	Problem      string
}

func (e *Error) Error() string {
	return "line " + strconv.Itoa(e.Line) + ", column " + strconv.Itoa(e.Column) + ": " + e.Problem
}

// Read reads a source. Errors are [*Error] but for those of YAML's own syntax.
func Read(b []byte) (*Source, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("larger than %d bytes", MaxBytes)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	if err := d.Decode(&doc); err != nil {
		return nil, yamlError(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, at(root, "must be a mapping")
	}
	s := &Source{root: root}
	text := []byte("{")
	given := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if given[key.Value] {
			return nil, at(key, "duplicate member")
		}
		given[key.Value] = true
		if key.Value == "policy" {
			if err := s.readPolicy(value); err != nil {
				return nil, err
			}
			continue
		}
		var err error
		if text, err = appendMember(text, key, value, maxDepth); err != nil {
			return nil, err
		}
	}
	for _, d := range []struct{ name, value string }{
		{"format", strconv.Quote(snapshot.Format)}, {"epoch", strconv.Quote(DefaultEpoch)}, {"generation", strconv.Itoa(DefaultGeneration)},
	} {
		if !given[d.name] {
			text = append(comma(text), `"`+d.name+`":`+d.value...)
		}
	}
	var err error
	if s.Snapshot, err = snapshot.Decode(append(text, '}')); err != nil {
		return nil, s.locate(err)
	}
	return s, nil
}

// yamlError is YAML's own error without the text that some of them quote.
func yamlError(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty")
	}
	return err
}

// View indexes the source's snapshot, with which it finds what does not fit.
func (s *Source) View() (*snapshot.View, error) {
	v, err := snapshot.NewView(s.Snapshot)
	if err != nil {
		return nil, s.locate(err)
	}
	return v, nil
}

func (s *Source) readPolicy(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return at(n, "must be a list of policy files and folders")
	}
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.ShortTag() != "!!str" || item.Value == "" {
			return at(item, "must be the path of a file or folder")
		}
		s.Policy = append(s.Policy, item.Value)
	}
	return nil
}

// locate gives an error of package snapshot the place in the YAML text that its
// JSON pointer leads to.
func (s *Source) locate(err error) error {
	var e *snapshot.Error
	if !errors.As(err, &e) {
		return err
	}
	n := s.root
	for token := range strings.SplitSeq(strings.TrimPrefix(e.Pointer, "/"), "/") {
		next := child(n, strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~"))
		if next == nil {
			break
		}
		n = next
	}
	return at(n, cmp.Or(e.Pointer, "/")+": "+e.Problem)
}

// child is the value in n that a token of a pointer names; nil: there is none.
func child(n *yaml.Node, token string) *yaml.Node {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == token {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

func at(n *yaml.Node, problem string) *Error { return &Error{n.Line, n.Column, problem} }
