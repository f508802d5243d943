package publish

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// maxNumber bounds the text of a number, so that comparing it exactly is cheap.
const maxNumber = 64

var errNumber = errors.New("number would not reach the plugin unchanged: on the way it is a 64-bit float")

// configNode turns a plugin's configuration from JSON to YAML. It refuses what
// would change on its way through a resource: Higress replaces ${...} in any
// text, and carries every number as a 64-bit float.
func configNode(config []byte) (yaml.Node, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(config))
	if dec.PeekKind() != '{' {
		return yaml.Node{}, errors.New("want one JSON object")
	}
	node, err := convert(dec)
	if err != nil {
		var syntax *jsontext.SyntacticError
		if errors.As(err, &syntax) {
			return yaml.Node{}, err // says where itself
		}
		return yaml.Node{}, fmt.Errorf("%s: %w", dec.StackPointer(), err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return yaml.Node{}, errors.New("something follows the JSON object")
	}
	return *node, nil
}

// convert reads one value. The decoder itself bounds the depth.
func convert(dec *jsontext.Decoder) (*yaml.Node, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{', '[':
		return collection(dec, token.Kind())
	case '"':
		return text(token.String())
	case '0':
		return &yaml.Node{Kind: yaml.ScalarNode, Value: token.String()}, checkNumber(token.String())
	default: // null, true, false
		return &yaml.Node{Kind: yaml.ScalarNode, Value: token.String()}, nil
	}
}

func collection(dec *jsontext.Decoder, open jsontext.Kind) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	end := jsontext.KindEndObject
	if open == '[' {
		node.Kind, end = yaml.SequenceNode, jsontext.KindEndArray
	}
	for dec.PeekKind() != end {
		element, err := convert(dec)
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, element)
	}
	_, err := dec.ReadToken()
	return node, err
}

// text quotes every string: what YAML 1.1 reads as a boolean is one to
// Kubernetes, "no" and "on" among them.
func text(s string) (*yaml.Node, error) {
	if strings.Contains(s, "${") {
		return nil, errors.New(`text contains "${", which Higress would try to replace`)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: s}, nil
}

// checkNumber reports whether a number keeps its value as a 64-bit float that
// is written in decimal again.
func checkNumber(s string) error {
	if len(s) > maxNumber {
		return errNumber
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f == 0 && strings.Trim(s, "-+.0eE") != "" {
		return errNumber
	}
	was, ok := new(big.Rat).SetString(s)
	is, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
	if !ok || was.Cmp(is) != 0 {
		return errNumber
	}
	return nil
}
