// Package manager runs the Manager as a program: its store, its API, and the
// listener for those who operate it.
package manager

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"keyward/manager/oidc"
	"keyward/tools/tracing"
)

// maxConfig bounds the configuration file and the files it names, in bytes.
const maxConfig = 1 << 20

// A Config is what the configuration file holds.
type Config struct {
	Store      StoreConfig      `yaml:"store"`
	API        ListenConfig     `yaml:"api"` // Listen empty: 127.0.0.1:8700
	Operations OperationsConfig `yaml:"operations"`
	Gateways   GatewaysConfig   `yaml:"gateways"`
	Log        LogConfig        `yaml:"log"`
	Matrix     MatrixConfig     `yaml:"matrix"`
	OIDC       *oidc.Config     `yaml:"oidc"`    // nil: admin tokens alone count
	Agents     *ListenConfig    `yaml:"agents"`  // MCP server for agents that administer; nil: none
	Tracing    *tracing.Config  `yaml:"tracing"` // nil: none
	Plugins    PluginsConfig    `yaml:"plugins"`
	Workers    *WorkersConfig   `yaml:"workers"` // nil: this Manager runs none
	Files      *FilesConfig     `yaml:"files"`   // nil: Workers have none
	// PolicyDir is a folder whose policy is published as it is saved; empty: none.
	PolicyDir string `yaml:"policyDir"`

	// Started is told where each listener is, by its name (api, gateways,
	// operations ...), once all of them take connections. nil: nobody asks.
	Started func(addresses map[string]string) `yaml:"-"`
}

// A LogConfig says how the audit log is kept.
type LogConfig struct {
	// Key is the file of the key that signs checkpoints; empty: log.key beside the
	// configuration. It is made where it is missing, and its public key is in the
	// file of the same name with .pub. Managers of one store need the same.
	Key     string        `yaml:"key"`
	Forward ForwardConfig `yaml:"forward"`
	// Keep is how long the text of records is kept; 0: for ever. Hashes and actions
	// stay in any case.
	Keep time.Duration `yaml:"keep"`
}

// A StoreConfig says where the store is; exactly one of its fields is set.
type StoreConfig struct {
	DSN     string `yaml:"dsn"`     // postgres:// URL, or path of a SQLite file
	DSNFile string `yaml:"dsnFile"` // file with the DSN, for one with a password
}

// A ListenConfig says how a listener that takes tokens is reached.
type ListenConfig struct {
	Listen string `yaml:"listen"`
	Cert   string `yaml:"cert"` // PEM file; needed unless Listen is on the loopback
	Key    string `yaml:"key"`
	// Insecure serves without TLS on any address: for a Manager behind a proxy that
	// has TLS.
	Insecure bool `yaml:"insecure"`
}

func (c *ListenConfig) check(name string) error {
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return fmt.Errorf("%s: set both of cert and key, or none", name)
	case c.Cert == "" && !c.Insecure && !loopback(c.Listen):
		return fmt.Errorf("%s: %s is not on the loopback: set cert and key, or insecure if a proxy has TLS", name, c.Listen)
	}
	return nil
}

// A GatewaysConfig says how gateways reach the Manager.
type GatewaysConfig struct {
	ListenConfig `yaml:",inline"` // Listen empty: 127.0.0.1:8702
	// SigningKey is the PEM file (PKCS #8, Ed25519) of the key that signs answers to
	// gateways; empty: gateways.pem beside the configuration. It is made where it is
	// missing. Managers of one store need the same.
	SigningKey string `yaml:"signingKey"`
}

// An OperationsConfig says where /livez, /readyz and /metrics are.
type OperationsConfig struct {
	Listen string `yaml:"listen"` // empty: 127.0.0.1:8701
}

// LoadConfig reads a configuration file. Paths in it are relative to it.
func LoadConfig(path string) (*Config, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.complete(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &c, nil
}

// complete fills in defaults and checks what is there.
func (c *Config) complete(dir string) error {
	c.API.Listen = cmp.Or(c.API.Listen, "127.0.0.1:8700")
	c.Operations.Listen = cmp.Or(c.Operations.Listen, "127.0.0.1:8701")
	c.Gateways.Listen = cmp.Or(c.Gateways.Listen, "127.0.0.1:8702")
	c.Gateways.SigningKey = cmp.Or(c.Gateways.SigningKey, "gateways.pem")
	c.Log.Key = cmp.Or(c.Log.Key, "log.key")
	paths := []*string{
		&c.Store.DSNFile, &c.API.Cert, &c.API.Key, &c.Gateways.Cert, &c.Gateways.Key, &c.Gateways.SigningKey, &c.PolicyDir, &c.Log.Key,
	}
	if c.Agents != nil {
		c.Agents.Listen = cmp.Or(c.Agents.Listen, "127.0.0.1:8703")
		paths = append(paths, &c.Agents.Cert, &c.Agents.Key)
	}
	for _, p := range append(paths, c.Matrix.paths()...) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if (c.Store.DSN == "") == (c.Store.DSNFile == "") {
		return errors.New("store: set one of dsn and dsnFile")
	}
	if err := cmp.Or(c.API.check("api"), c.Gateways.check("gateways"), c.Plugins.complete(dir)); err != nil {
		return err
	}
	if c.Agents != nil {
		if err := c.Agents.check("agents"); err != nil {
			return err
		}
	}
	if c.Tracing != nil {
		if err := c.Tracing.Validate(); err != nil {
			return fmt.Errorf("tracing: %w", err)
		}
	}
	if c.OIDC != nil {
		if err := c.OIDC.Validate(); err != nil {
			return fmt.Errorf("oidc: %w", err)
		}
	}
	if c.Log.Keep != 0 && c.Log.Keep < 24*time.Hour {
		return errors.New("log: keep: is less than a day; 0 keeps records for ever")
	}
	if err := c.Log.Forward.complete(dir); err != nil {
		return fmt.Errorf("log: forward: %w", err)
	}
	if err := c.Matrix.complete(dir); err != nil {
		return fmt.Errorf("matrix: %w", err)
	}
	if err := cmp.Or(c.Workers.complete(dir), c.Files.complete(dir)); err != nil {
		return err
	}
	if c.Workers != nil && c.Files != nil { // what HiClaw's images are told
		c.Workers.Bucket = cmp.Or(c.Workers.Bucket, c.Files.Store.Bucket)
	}
	if c.Store.DSNFile != "" {
		b, err := readFile(c.Store.DSNFile)
		if err != nil {
			return err
		}
		c.Store.DSN = strings.TrimSpace(string(b))
	}
	if !strings.Contains(c.Store.DSN, "://") {
		path := strings.TrimPrefix(c.Store.DSN, "sqlite:")
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		c.Store.DSN = path
	}
	return nil
}

func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(b) > maxConfig {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxConfig)
	}
	return b, err
}
