package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"keyward/policies"
)

// Settings of huma that it keeps in variables.
func init() {
	huma.ValidateStrictCasing = true  // "Tools" is not "tools"
	huma.DefaultArrayNullable = false // an absent list is left out
	huma.NewError = newProblem
}

// strictJSON reads one JSON value without duplicate names, bad UTF-8 and null.
var strictJSON = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	},
	Unmarshal: func(b []byte, v any) error {
		if err := scan(b); err != nil {
			return err
		}
		return jsonv2.Unmarshal(b, v)
	},
}

var (
	errDepth    = errors.New("nested too deeply")
	errNull     = errors.New("null is not accepted: leave the member out")
	errTrailing = errors.New("more than one JSON value")
)

// scan checks b before anything recursive reads it. null is refused where a
// reader could take it for "no restriction"; a grant's argument values and a
// policy's data are free to hold it.
func scan(b []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(b))
	for {
		t, err := d.ReadToken()
		if err != nil {
			return err
		}
		if d.StackDepth() > policies.MaxDepth {
			return errDepth
		}
		if p := string(d.StackPointer()); t.Kind() == 'n' && !strings.HasPrefix(p, "/arguments/") && !strings.HasPrefix(p, "/data/") {
			return errNull
		}
		if d.StackDepth() == 0 {
			break
		}
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return errTrailing
	}
	return nil
}
