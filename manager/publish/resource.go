package publish

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyward/manager/publish/image"
	"keyward/plugins/live"
)

// DefaultNamespace is the namespace that Higress reads WasmPlugins from unless
// it was installed into another one.
const DefaultNamespace = "higress-system"

// KeysVariable is the environment variable of key-swap's VM that holds the
// gateway's private keys.
const KeysVariable = "KEYWARD_GATEWAY_KEYS"

// TokenVariable is the environment variable of the plugins' VMs that holds the
// gateway's token.
const TokenVariable = live.EnvToken

// MaxResourceBytes is how large a resource may get: the Kubernetes API refuses
// objects beyond 1.5 MiB, and keeps a copy of what was applied in an annotation.
const MaxResourceBytes = 700 << 10

// KeySource says how the gateway's private keys reach key-swap's VM.
type KeySource string

// The key sources.
const (
	// KeysFromHost names a variable in the environment of the gateway's process.
	// The keys show in no resource and in no dump of the gateway's configuration.
	KeysFromHost KeySource = "host"
	// KeysFromSecret refers to a Kubernetes Secret. Higress' controller puts its
	// value into the configuration it pushes, so the keys can be read there, and
	// in the gateway's config_dump.
	KeysFromSecret KeySource = "secret"
)

// Options say how the plugins reach a gateway. BaseURL and Config are required.
type Options struct {
	Namespace string    // "": DefaultNamespace
	BaseURL   string    // http:// or https:// of a file server, or oci:// of a registry
	Config    []byte    // configuration of both plugins: one JSON object
	KeysFrom  KeySource // "": KeysFromHost
	Secret    string    // NAMESPACE/NAME.KEY, or NAME.KEY; for KeysFromSecret alone
	// Live is for a configuration that names a Manager: the plugins are given the
	// gateway's token, from where key-swap is given its keys.
	Live        bool
	TokenSecret string // as Secret, with the gateway's token; for Live and KeysFromSecret alone
}

// A Resource is a WasmPlugin as Higress' custom resource definition has it.
type Resource struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   Metadata `yaml:"metadata"`
	Spec       Spec     `yaml:"spec"`
}

// Metadata names a resource. Higress' Console takes over resources with its own
// label and lets them fail open; ours never carry it.
type Metadata struct {
	Name      string            `yaml:"name"`
	Namespace string            `yaml:"namespace"`
	Labels    map[string]string `yaml:"labels"`
}

// A Spec is the part of a WasmPlugin that Keyward sets.
//
// The configuration is in pluginConfig, not in defaultConfig: Higress then
// ignores defaultConfigDisable and matchRules, either of which could take the
// plugin out of a request's way.
type Spec struct {
	PluginName      string    `yaml:"pluginName"`
	URL             string    `yaml:"url"`
	SHA256          string    `yaml:"sha256"`
	ImagePullPolicy string    `yaml:"imagePullPolicy"`
	Phase           string    `yaml:"phase"`
	Priority        int       `yaml:"priority"`
	FailStrategy    string    `yaml:"failStrategy"`
	VMConfig        *VMConfig `yaml:"vmConfig,omitempty"`
	PluginConfig    yaml.Node `yaml:"pluginConfig"`
}

// A VMConfig is the environment of a plugin's VM.
type VMConfig struct {
	Env []Variable `yaml:"env"`
}

// A Variable is one environment variable.
type Variable struct {
	Name      string `yaml:"name"`
	ValueFrom string `yaml:"valueFrom"`       // HOST or INLINE
	Value     string `yaml:"value,omitempty"` // for INLINE
}

// WasmPlugins returns the resources of all plugins. binaries holds the module
// of each, by name.
func WasmPlugins(opt Options, binaries map[string]Binary) ([]Resource, error) {
	base, err := checkBase(opt.BaseURL)
	if err != nil {
		return nil, err
	}
	env, err := opt.env()
	if err != nil {
		return nil, err
	}
	config, err := configNode(opt.Config)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var list []Resource
	for _, p := range Plugins {
		wasm, ok := binaries[p.Name]
		if !ok {
			return nil, fmt.Errorf("no module for plugin %q", p.Name)
		}
		location, sum, err := locate(base, p.Name, wasm)
		if err != nil {
			return nil, err
		}
		r := Resource{
			APIVersion: "extensions.higress.io/v1alpha1",
			Kind:       "WasmPlugin",
			Metadata: Metadata{
				Name:      "keyward-" + p.Name,
				Namespace: opt.Namespace,
				Labels:    map[string]string{"app.kubernetes.io/part-of": "keyward"},
			},
			Spec: Spec{
				PluginName:      "keyward-" + p.Name,
				URL:             location,
				SHA256:          sum,
				ImagePullPolicy: "IfNotPresent",
				Phase:           p.Phase,
				Priority:        p.Priority,
				FailStrategy:    "FAIL_CLOSE",
				PluginConfig:    config,
			},
		}
		if r.Metadata.Namespace == "" {
			r.Metadata.Namespace = DefaultNamespace
		}
		if list := env(p); len(list) > 0 {
			r.Spec.VMConfig = &VMConfig{Env: list}
		}
		list = append(list, r)
	}
	return list, nil
}

// Marshal writes resources as one YAML stream.
func Marshal(resources []Resource) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	for _, r := range resources {
		before := out.Len()
		if err := enc.Encode(r); err != nil {
			return nil, err
		}
		if n := out.Len() - before; n > MaxResourceBytes {
			return nil, fmt.Errorf("resource %s has %d bytes, more than %d: the snapshot is too large for a resource", r.Metadata.Name, n, MaxResourceBytes)
		}
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func checkBase(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("base URL is no URL") // its text may hold a password
	case base.Scheme != "http" && base.Scheme != "https" && base.Scheme != "oci":
		return nil, fmt.Errorf("base URL has scheme %q, want http, https or oci", base.Scheme)
	case base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("base URL must be a host and a path alone")
	case strings.Contains(text, "${"):
		return nil, errors.New("base URL must not contain ${")
	}
	return base, nil
}

// locate returns where a gateway gets a module from, and the digest it checks:
// that of the file, or of the image's manifest.
func locate(base *url.URL, name string, wasm Binary) (location, sum string, err error) {
	if base.Scheme != "oci" {
		return base.JoinPath(name, wasm.Version(), "plugin.wasm").String(), wasm.SHA256(), nil
	}
	img, err := image.New(wasm)
	if err != nil {
		return "", "", err
	}
	return base.JoinPath(name).String() + ":" + wasm.Version(), img.Digest(), nil
}

// secretRef is NAMESPACE/NAME.KEY or NAME.KEY in the characters that Kubernetes
// allows and Higress' substitution reads.
var secretRef = regexp.MustCompile(`^([a-z0-9-]+/)?[a-z0-9-]+\.[A-Za-z0-9_-]+$`)

// env returns what says which variables a plugin's VM is given.
func (opt Options) env() (func(Plugin) []Variable, error) {
	keys, err := opt.variable(KeysVariable, opt.Secret)
	if err != nil {
		return nil, err
	}
	var token Variable
	switch {
	case opt.Live:
		if token, err = opt.variable(TokenVariable, opt.TokenSecret); err != nil {
			return nil, err
		}
	case opt.TokenSecret != "":
		return nil, fmt.Errorf("secret %q is not used without a Manager", opt.TokenSecret)
	}
	return func(p Plugin) (list []Variable) {
		if p.Keys {
			list = append(list, keys)
		}
		if opt.Live {
			list = append(list, token)
		}
		return list
	}, nil
}

func (opt Options) variable(name, secret string) (Variable, error) {
	switch opt.KeysFrom {
	case KeysFromHost, "":
		if secret != "" {
			return Variable{}, fmt.Errorf("secret %q is not used when keys come from the host's environment", secret)
		}
		return Variable{Name: name, ValueFrom: "HOST"}, nil
	case KeysFromSecret:
		if !secretRef.MatchString(secret) {
			return Variable{}, fmt.Errorf("secret %q is not NAMESPACE/NAME.KEY", secret)
		}
		return Variable{Name: name, ValueFrom: "INLINE", Value: "${secret." + secret + "}"}, nil
	default:
		return Variable{}, fmt.Errorf("key source %q is neither host nor secret", opt.KeysFrom)
	}
}
