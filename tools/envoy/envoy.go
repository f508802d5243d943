// Package envoy writes the two files that bring Keyward's plugins into a plain
// Envoy: deploy/envoy/envoy.yaml names them, and Envoy watches them.
//
// Each is an answer of Envoy's extension config discovery (ECDS) with one wasm
// filter. Its configuration says where the Manager is, or holds the snapshot, so
// that a new one is a new file and never a restart.
package envoy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"keyward/plugins/live"
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
		{Name: "gate", Wasm: filepath.Join(dir, "gate.wasm"), Env: []string{live.EnvToken}},
		{Name: "key-swap", Wasm: filepath.Join(dir, "key-swap.wasm"), Env: []string{KeysVariable, live.EnvToken}},
	}
}

// A Source is where the plugins have from what they decide by. Without a member
// they have nothing, and deny everything.
type Source struct {
	Snapshot []byte       // JSON; empty: none
	Manager  *live.Config // nil: none. With both, the snapshot counts until the Manager is reached
}

// config is a plugin's configuration.
func (s Source) config() []byte {
	var members [][]byte
	if s.Manager != nil {
		members = append(members, append([]byte(`"manager":`), s.Manager.Encode()...))
	}
	if len(s.Snapshot) > 0 {
		members = append(members, append([]byte(`"snapshot":`), s.Snapshot...))
	}
	return append(append([]byte{'{'}, bytes.Join(members, []byte{','})...), '}')
}

// Check reports what a plugin would refuse of s.
func (s Source) Check() error {
	_, _, err := live.ReadConfig(s.config())
	return err
}

// Write writes one file for each plugin into dir. Each appears whole, by a
// rename, which is what Envoy watches for.
func Write(dir string, from Source, plugins []Plugin) error {
	for _, p := range plugins {
		b, err := resource(p, from.config())
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
func resource(p Plugin, config []byte) ([]byte, error) {
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
