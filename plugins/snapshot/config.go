package snapshot

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

var errConfig = errors.New(`plugin configuration is not an object with the one member "snapshot"`)

// FromConfig is the snapshot's JSON in a plugin's configuration, which is an
// object with the one member "snapshot". Both plugins are configured this way.
func FromConfig(config []byte) ([]byte, error) {
	d := jsontext.NewDecoder(bytes.NewReader(config))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, errConfig
	}
	if t, err := d.ReadToken(); err != nil || t.Kind() != '"' || t.String() != "snapshot" {
		return nil, errConfig
	}
	v, err := d.ReadValue()
	if err != nil {
		return nil, errConfig
	}
	raw := bytes.Clone(v)
	if t, err := d.ReadToken(); err != nil || t.Kind() != '}' {
		return nil, errConfig
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, errConfig
	}
	return raw, nil
}
