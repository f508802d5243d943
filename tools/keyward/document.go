package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// readDocument reads an object from a YAML or JSON file into v, by the names that
// it has in the API. Unknown names are refused.
func readDocument(file string, v any) error {
	b, err := readBounded(file)
	if err != nil {
		return err
	}
	var doc any
	d := yaml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&doc); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: more than one document", file)
	}
	if b, err = json.Marshal(doc); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	j := json.NewDecoder(bytes.NewReader(b))
	j.DisallowUnknownFields()
	if err := j.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
