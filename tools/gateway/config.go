package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"keyward/tools/tracing"
)

// A Config is what a gateway is made of. Names of files are relative to the
// folder of the configuration file.
type Config struct {
	Listeners []Listener `yaml:"listeners"`
	// Admin is the address of /healthz, /readyz and /metrics; "": none.
	Admin string `yaml:"admin"`
	// Workers is the number of VMs per plugin that serve requests; 0: one per
	// processor.
	Workers int `yaml:"workers"`
	// Persona is the gateway that is imitated where they differ: envoy (the
	// default) or higress.
	Persona string `yaml:"persona"`
	// CompileCache is the folder for compiled plugins; "": one in the user's
	// cache folder.
	CompileCache string    `yaml:"compile_cache"`
	Limits       Limits    `yaml:"limits"`
	Clusters     []Cluster `yaml:"clusters"`
	Routes       []Route   `yaml:"routes"`
	Plugins      []Plugin  `yaml:"plugins"`
	// Tracing says where spans of requests go; nil: nowhere.
	Tracing *tracing.Config `yaml:"tracing"`

	file string
	root *yaml.Node
}

// A Listener accepts HTTP/1.1 and HTTP/2: by ALPN over TLS, with prior knowledge
// without.
type Listener struct {
	Address string     `yaml:"address"` // host:port; port 0: any free one
	TLS     *ServerTLS `yaml:"tls"`     // nil: plain
}

// ServerTLS is a listener's certificate, in PEM files.
type ServerTLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Limits bound what clients can take. Zero values have defaults.
type Limits struct {
	HeaderBytes   int           `yaml:"header_bytes"`   // 60 KiB
	HeaderTimeout time.Duration `yaml:"header_timeout"` // 10s: until a request's headers are there
	BodyTimeout   time.Duration `yaml:"body_timeout"`   // 60s: until a request's body is
	IdleTimeout   time.Duration `yaml:"idle_timeout"`   // 2m: a connection without a request
	BufferBytes   int           `yaml:"buffer_bytes"`   // 1 MiB: of a body that plugins hold
	DrainTimeout  time.Duration `yaml:"drain_timeout"`  // 10s: for open requests when stopping
}

// A Cluster is an upstream.
type Cluster struct {
	Name  string      `yaml:"name"`
	URLs  []string    `yaml:"urls"`  // scheme://host:port each, used in turn
	HTTP2 bool        `yaml:"http2"` // instead of HTTP/1.1; without TLS by prior knowledge
	TLS   UpstreamTLS `yaml:"tls"`
}

// UpstreamTLS is how the certificate of an https upstream is verified.
type UpstreamTLS struct {
	CA         string `yaml:"ca"`          // PEM file; "": the system's
	ServerName string `yaml:"server_name"` // "": the host of the URL
}

// A Route leads requests to a cluster. A route with a host beats one without;
// then the longer path wins.
type Route struct {
	Name          string         `yaml:"name"`
	Host          string         `yaml:"host"` // lower case, without port; "": any
	Path          string         `yaml:"path"` // prefix by whole segments
	Cluster       string         `yaml:"cluster"`
	HostRewrite   string         `yaml:"host_rewrite"`   // "": the client's
	PrefixRewrite *string        `yaml:"prefix_rewrite"` // in place of Path; nil: none
	Timeout       *time.Duration `yaml:"timeout"`        // until the response's headers; nil: 60s; 0: none
}

// A Plugin is one plugin, in the order in which requests pass them.
type Plugin struct {
	Name   string `yaml:"name"`
	File   string `yaml:"file"`
	SHA256 string `yaml:"sha256"` // of the file, in hex; "": not checked
	VMID   string `yaml:"vm_id"`
	Fail   string `yaml:"fail"` // when its VM dies: close (the default) or reload
	Env    []Env  `yaml:"env"`
	// Configuration is a text, or a mapping that the plugin gets as JSON.
	Configuration yaml.Node `yaml:"configuration"`
	// Snapshot is a file; its content is the member "snapshot" of the plugin's
	// configuration, beside what else there is, and a change is taken over while
	// running.
	Snapshot string `yaml:"snapshot"`
}

// Env is one variable of a plugin's environment; only its source is configured.
type Env struct {
	Name     string `yaml:"name"`
	FromFile string `yaml:"from_file"` // without the line end at its end
	FromEnv  string `yaml:"from_env"`  // of the gateway's own environment
}

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 1 << 20

// Load reads and checks a configuration file. Errors name file and line.
func Load(file string) (*Config, error) {
	b, err := readFile(file, maxConfigBytes)
	if err != nil {
		return nil, err
	}
	return parse(file, b)
}

func parse(file string, b []byte) (*Config, error) {
	c := &Config{file: file, root: &yaml.Node{}}
	if err := yaml.Unmarshal(b, c.root); err != nil {
		return nil, yamlError(file, err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s:1: empty", file)
		}
		return nil, yamlError(file, err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", file)
	}
	c.setDefaults()
	return c, c.check()
}

func (c *Config) setDefaults() {
	l := &c.Limits
	setDefault(&l.HeaderBytes, 60<<10)
	setDefault(&l.HeaderTimeout, 10*time.Second)
	setDefault(&l.BodyTimeout, time.Minute)
	setDefault(&l.IdleTimeout, 2*time.Minute)
	setDefault(&l.BufferBytes, 1<<20)
	setDefault(&l.DrainTimeout, 10*time.Second)
	setDefault(&c.Persona, "envoy")
	for i := range c.Plugins {
		setDefault(&c.Plugins[i].Fail, "close")
	}
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// path is a file named in the configuration.
func (c *Config) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(c.file), name)
}

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", name, limit)
	}
	return b, nil
}
