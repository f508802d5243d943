// Package envoy writes the two files that bring Keyward's plugins into a plain
// Envoy: deploy/envoy/envoy.yaml names them, and Envoy watches them.
//
// Each is an answer of Envoy's extension config discovery (ECDS) with one wasm
// filter and the snapshot as its configuration, so that a new snapshot is a new
// file and never a restart.
package envoy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// A Plugin is one wasm filter.
type Plugin struct {
	Name string   // of the filter, and of the file without its ending
	Wasm string   // path of the module, as Envoy finds it
	Env  []string // names of host variables that the plugin may read
}

// KeysVariable is the host variable that holds the gateway's private keys. Envoy
// shows its name in the config dump, never its value.
const KeysVariable = "KEYWARD_GATEWAY_KEYS"

// Plugins are gate and key-swap, with their modules in dir.
func Plugins(dir string) []Plugin {
	return []Plugin{
		{Name: "gate", Wasm: filepath.Join(dir, "gate.wasm")},
		{Name: "key-swap", Wasm: filepath.Join(dir, "key-swap.wasm"), Env: []string{KeysVariable}},
	}
}

// Write writes one file for each plugin into dir. snapshot is the JSON of a
// snapshot, or empty for a plugin that has none and denies everything. Each file
// appears whole, by a rename, which is what Envoy watches for.
func Write(dir string, snapshot []byte, plugins []Plugin) error {
	for _, p := range plugins {
		b, err := resource(p, snapshot)
		if err != nil {
			return err
		}
		if err := replace(filepath.Join(dir, p.Name+".json"), b); err != nil {
			return err
		}
	}
	return nil
}

type object = map[string]any

// resource is a DiscoveryResponse with a TypedExtensionConfig
// (envoy/config/core/v3/extension.proto). Its version names the content.
func resource(p Plugin, snapshot []byte) ([]byte, error) {
	config := []byte("{}")
	if len(snapshot) > 0 {
		config = append(append([]byte(`{"snapshot":`), snapshot...), '}')
	}
	sum := sha256.Sum256(config)
	b, err := json.MarshalIndent(object{
		"version_info": hex.EncodeToString(sum[:8]),
		"resources": []any{object{
			"@type":        "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
			"name":         p.Name,
			"typed_config": filter(p, string(config)),
		}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("plugin %q: %w", p.Name, err)
	}
	return append(b, '\n'), nil
}

// filter is the wasm filter's configuration.
func filter(p Plugin, config string) object {
	vm := object{
		// Shared data is common to all modules with one vm_id, so each has its own.
		"vm_id":   "keyward-" + p.Name,
		"runtime": "envoy.wasm.runtime.v8",
		"code":    object{"local": object{"filename": p.Wasm}},
	}
	if len(p.Env) > 0 {
		vm["environment_variables"] = object{"host_env_keys": p.Env}
	}
	return object{
		"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
		"config": object{
			"name":    p.Name,
			"root_id": p.Name,
			// A module that trapped answers 503, and is loaded anew for a later
			// request; FAIL_CLOSED would answer 503 until Envoy is restarted.
			"failure_policy": "FAIL_RELOAD",
			"reload_config":  object{"backoff": object{"base_interval": "0.1s"}},
			// Without it a request whose headers are held waits for ever.
			"allow_on_headers_stop_iteration": true,
			"vm_config":                       vm,
			"configuration": object{
				"@type": "type.googleapis.com/google.protobuf.StringValue",
				"value": config,
			},
		},
	}
}

// replace puts a whole new file in the place of path.
func replace(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
