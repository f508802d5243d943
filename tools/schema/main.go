// Command schema writes the JSON schemas in docs/schema from the Go types that
// they describe. Run it with go generate after changing one of those types.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"

	"keyward/manager"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

//go:generate go run . ../../docs/schema

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schema FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	files, err := generate()
	if err != nil {
		return err
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// enums are the types of which only some values are valid.
var enums = map[reflect.Type]*jsonschema.Schema{
	reflect.TypeFor[policies.Kind]():    enum(policies.KindMCP, policies.KindLLM, policies.KindHTTP),
	reflect.TypeFor[policies.MCPKind](): enum(policies.MCPRequest, policies.MCPNotification, policies.MCPStream, policies.MCPEnd),
	reflect.TypeFor[snapshot.Form]():    enum(snapshot.Bearer, snapshot.Header, snapshot.Query, snapshot.Basic),
	reflect.TypeFor[snapshot.State]():   enum(snapshot.Active, snapshot.Suspended, snapshot.Revoked),
	reflect.TypeFor[[]byte]():           {Type: "string", ContentEncoding: "base64"},
}

func enum[T ~string](values ...T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, v := range values {
		s.Enum = append(s.Enum, string(v))
	}
	return s
}

// generate returns the schemas by file name.
func generate() (map[string][]byte, error) {
	input, err := schema[policies.Input]("What a Keyward policy sees as input")
	if err != nil {
		return nil, err
	}
	snap, err := schema[snapshot.Snapshot]("A Keyward snapshot, or a delta to one")
	if err != nil {
		return nil, err
	}
	facts, err := schema[manager.WorkerFacts]("What the rules of Keyward's heartbeat see as input")
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"input.json": input, "snapshot.json": snap, "heartbeat.json": facts}, nil
}

func schema[T any](title string) ([]byte, error) {
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: enums})
	if err != nil {
		return nil, err
	}
	s.Title = title
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	if b, err = json.MarshalIndent(tidy(v), "", "  "); err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// tidy takes out null, which Keyward neither writes nor takes for a list or an
// object, and writes what is never valid as every reader of schemas knows it.
func tidy(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = tidy(v[i])
		}
	case map[string]any:
		if not, ok := v["not"].(map[string]any); ok && len(v) == 1 && len(not) == 0 {
			return false
		}
		if types, ok := v["type"].([]any); ok && len(types) == 2 && types[0] == "null" {
			v["type"] = types[1]
		}
		for k := range v {
			v[k] = tidy(v[k])
		}
	}
	return v
}
