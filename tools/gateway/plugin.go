package gateway

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyward/plugins/snapshot"
	"keyward/tools/gateway/wasmhost"
)

const (
	maxPluginBytes = 64 << 20
	maxEnvBytes    = 64 << 10
)

// Validate reads and checks every file that c names. It starts nothing.
func Validate(c *Config) error {
	_, err := c.readPlugins()
	errs := []error{err}
	for _, spec := range c.Clusters {
		_, err := c.newCluster(spec)
		errs = append(errs, err)
	}
	for _, l := range c.Listeners {
		if l.TLS != nil {
			_, err := c.certificate(l)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (c *Config) certificate(l Listener) (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(c.path(l.TLS.Cert), c.path(l.TLS.Key))
	if err != nil {
		return cert, fmt.Errorf("listener %q: %w", l.Address, err)
	}
	return cert, nil
}

// readPlugins reads all that plugins are made of.
func (c *Config) readPlugins() ([]wasmhost.Plugin, error) {
	var list []wasmhost.Plugin
	for i := range c.Plugins {
		p, err := c.readPlugin(&c.Plugins[i])
		if err != nil {
			return nil, fmt.Errorf("plugin %q: %w", c.Plugins[i].Name, err)
		}
		list = append(list, p)
	}
	return list, nil
}

func (c *Config) readPlugin(p *Plugin) (_ wasmhost.Plugin, err error) {
	w := wasmhost.Plugin{Name: p.Name, VMID: p.VMID, Reload: p.Fail == "reload", Env: map[string]string{}}
	if w.Code, err = readFile(c.path(p.File), maxPluginBytes); err != nil {
		return w, err
	}
	sum := sha256.Sum256(w.Code)
	if got := hex.EncodeToString(sum[:]); p.SHA256 != "" && !strings.EqualFold(got, p.SHA256) {
		return w, fmt.Errorf("%s has SHA-256 %s, not the configured one", p.File, got)
	}
	for _, e := range p.Env {
		if w.Env[e.Name], err = c.readEnv(e); err != nil {
			return w, err
		}
	}
	w.Configuration, err = c.configuration(p)
	return w, err
}

// configuration is what a plugin gets: what is configured, with the snapshot
// that it names as one more member.
func (c *Config) configuration(p *Plugin) ([]byte, error) {
	config, err := configuration(&p.Configuration)
	if err != nil || p.Snapshot == "" {
		return config, err
	}
	b, err := readSnapshot(c.path(p.Snapshot))
	if err != nil {
		return nil, err
	}
	whole := append([]byte(`{"snapshot":`), b...)
	if len(config) > len("{}") {
		whole = append(append(whole, ','), config[1:len(config)-1]...)
	}
	return append(whole, '}'), nil
}

func (c *Config) readEnv(e Env) (string, error) {
	if e.FromEnv != "" {
		v, ok := os.LookupEnv(e.FromEnv)
		if !ok {
			return "", fmt.Errorf("environment variable %q is not set", e.FromEnv)
		}
		return v, nil
	}
	b, err := readFile(c.path(e.FromFile), maxEnvBytes)
	return strings.TrimRight(string(b), "\r\n"), err
}

// configuration is a text as it stands, or a mapping as JSON.
func configuration(n *yaml.Node) ([]byte, error) {
	if n.Kind != yaml.MappingNode {
		return []byte(n.Value), nil
	}
	var v map[string]any
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// readSnapshot reads and checks a snapshot file.
// Errors name the file, and line and column where they are known.
func readSnapshot(file string) ([]byte, error) {
	b, err := readFile(file, snapshot.MaxBytes)
	if err != nil {
		return nil, err
	}
	if _, err := snapshot.Load(b); err != nil {
		var where *snapshot.Error
		if errors.As(err, &where) && where.Line > 0 {
			text := strings.TrimPrefix(where.Error(), fmt.Sprintf("line %d, column %d: ", where.Line, where.Column))
			return nil, fmt.Errorf("%s:%d:%d: %s", file, where.Line, where.Column, text)
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}
