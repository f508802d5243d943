package source

import (
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// appendValue appends n as JSON, so that the snapshot's own reader checks it.
func appendValue(b []byte, n *yaml.Node, depth int) ([]byte, error) {
	if depth == 0 {
		return nil, at(n, "nested too deeply")
	}
	if n.Anchor != "" {
		return nil, at(n, "anchors are not taken")
	}
	if n.Style&yaml.TaggedStyle != 0 {
		return nil, at(n, "tags are not taken")
	}
	switch n.Kind {
	case yaml.MappingNode:
		b = append(b, '{')
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if seen[key.Value] {
				return nil, at(key, "duplicate member")
			}
			seen[key.Value] = true
			var err error
			if b, err = appendMember(b, key, n.Content[i+1], depth-1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case yaml.SequenceNode:
		b = append(b, '[')
		for _, item := range n.Content {
			var err error
			if b, err = appendValue(comma(b), item, depth-1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case yaml.ScalarNode:
		return appendScalar(b, n)
	default:
		return nil, at(n, "aliases are not taken")
	}
}

func appendMember(b []byte, key, value *yaml.Node, depth int) ([]byte, error) {
	// A name such as yes or 1 is taken as it is written; << would merge.
	if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" || key.Anchor != "" {
		return nil, at(key, "a member's name must be plain text")
	}
	b, err := jsontext.AppendQuote(comma(b), key.Value)
	if err != nil {
		return nil, at(key, "not UTF-8")
	}
	return appendValue(append(b, ':'), value, depth)
}

func appendScalar(b []byte, n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!null":
		return append(b, "null"...), nil
	case "!!bool":
		if n.Value != "true" && n.Value != "false" {
			return nil, at(n, "write true or false, or put quotes around text")
		}
		return append(b, n.Value...), nil
	case "!!int", "!!float":
		if !json.Valid([]byte(n.Value)) {
			return nil, at(n, "write the number as in JSON, or put quotes around text")
		}
		return append(b, n.Value...), nil
	default:
		b, err := jsontext.AppendQuote(b, n.Value)
		if err != nil {
			return nil, at(n, "not UTF-8")
		}
		return b, nil
	}
}

// comma separates from a value before it.
func comma(b []byte) []byte {
	switch b[len(b)-1] {
	case '{', '[', ':':
		return b
	default:
		return append(b, ',')
	}
}
