package hiclaw

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// fields are the members of an object that nobody has taken yet, in their order.
type fields struct {
	path  string // for errors; empty: the document itself
	names []string
	nodes map[string]*yaml.Node
}

func fieldsOf(path string, n *yaml.Node) (*fields, error) {
	f := &fields{path: path, nodes: map[string]*yaml.Node{}}
	if n == nil || n.Tag == "!!null" {
		return f, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: %s is no object", n.Line, or(path, "the document"))
	}
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Tag != "!!str" {
			return nil, fmt.Errorf("line %d: a name that is no text", key.Line)
		}
		if _, twice := f.nodes[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", key.Line, f.name(key.Value))
		}
		f.names = append(f.names, key.Value)
		f.nodes[key.Value] = n.Content[i+1]
	}
	return f, nil
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func (f *fields) name(key string) string {
	if f.path == "" {
		return key
	}
	return f.path + "." + key
}

// take removes a member and returns it; nil: it is not there, or null.
func (f *fields) take(key string) *yaml.Node {
	n := f.nodes[key]
	delete(f.nodes, key)
	if n == nil || n.Tag == "!!null" {
		return nil
	}
	return n
}

// left are the names of what was not taken.
func (f *fields) left() (list []string) {
	for _, name := range f.names {
		if _, ok := f.nodes[name]; ok {
			list = append(list, name)
		}
	}
	return list
}

// text takes a member that is a text; empty: it is not there.
func (f *fields) text(key string) (string, error) {
	n := f.take(key)
	if n == nil {
		return "", nil
	}
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		return "", fmt.Errorf("line %d: %s is no text", n.Line, f.name(key))
	}
	return n.Value, nil
}

// object takes a member that is an object; without members: it is not there.
func (f *fields) object(key string) (*fields, error) { return fieldsOf(f.name(key), f.take(key)) }

// list takes a member that is a list.
func (f *fields) list(key string) ([]*yaml.Node, error) {
	n := f.take(key)
	if n == nil {
		return nil, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: %s is no list", n.Line, f.name(key))
	}
	return n.Content, nil
}
