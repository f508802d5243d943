package gateway

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlLine finds the line in what the YAML package says, to put it where every
// other error has it.
var yamlLine = regexp.MustCompile(`line (\d+): `)

func yamlError(file string, err error) error {
	var several *yaml.TypeError
	texts := []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	if errors.As(err, &several) {
		texts = several.Errors
	}
	errs := make([]error, len(texts))
	for i, text := range texts {
		line := "1"
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			line = m[1]
			text = strings.Replace(text, m[0], "", 1)
		}
		errs[i] = fmt.Errorf("%s:%s: %s", file, line, text)
	}
	return errors.Join(errs...)
}

// A checker collects what is wrong with a configuration.
type checker struct {
	c    *Config
	errs []error
}

// check reports everything that is wrong with c by itself; files are not read.
func (c *Config) check() error {
	k := &checker{c: c}
	k.listeners()
	if c.Persona != "envoy" && c.Persona != "higress" {
		k.fail(at{"persona"}, "%q is neither envoy nor higress", c.Persona)
	}
	if c.Workers < 0 {
		k.fail(at{"workers"}, "negative")
	}
	l := c.Limits
	if l.HeaderBytes < 0 || l.HeaderTimeout < 0 || l.BodyTimeout < 0 || l.IdleTimeout < 0 || l.BufferBytes < 0 || l.DrainTimeout < 0 {
		k.fail(at{"limits"}, "a limit is negative")
	}
	if c.Tracing != nil {
		if err := c.Tracing.Validate(); err != nil {
			k.fail(at{"tracing"}, "%v", err)
		}
	}
	clusters := k.clusters()
	k.routes(clusters)
	k.plugins()
	return errors.Join(k.errs...)
}

// at is a path into the document: names and indexes.
type at []any

func (k *checker) fail(where at, format string, args ...any) {
	line := 1
	if n := find(k.c.root, where); n != nil {
		line = n.Line
	}
	k.errs = append(k.errs, fmt.Errorf("%s:%d: %s: %s", k.c.file, line, where, fmt.Sprintf(format, args...)))
}

func (w at) String() string {
	var b strings.Builder
	for i, part := range w {
		switch part := part.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", part)
		case string:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(part)
		}
	}
	return b.String()
}

// find follows where as far as it leads.
func find(n *yaml.Node, where at) *yaml.Node {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	for _, part := range where {
		next := child(n, part)
		if next == nil {
			break
		}
		n = next
	}
	return n
}

func child(n *yaml.Node, part any) *yaml.Node {
	switch part := part.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && part < len(n.Content) {
			return n.Content[part]
		}
	case string:
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == part {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

func (k *checker) listeners() {
	if len(k.c.Listeners) == 0 {
		k.fail(at{"listeners"}, "none")
	}
	for i, l := range k.c.Listeners {
		k.address(at{"listeners", i, "address"}, l.Address)
		if l.TLS != nil && (l.TLS.Cert == "" || l.TLS.Key == "") {
			k.fail(at{"listeners", i, "tls"}, "needs cert and key")
		}
	}
	if k.c.Admin != "" {
		k.address(at{"admin"}, k.c.Admin)
	}
}

func (k *checker) address(where at, address string) {
	if _, _, err := net.SplitHostPort(address); err != nil {
		k.fail(where, "%q is not host:port", address)
	}
}

func (k *checker) clusters() map[string]bool {
	names := map[string]bool{}
	for i, c := range k.c.Clusters {
		if c.Name == "" || names[c.Name] {
			k.fail(at{"clusters", i, "name"}, "%q is empty or not unique", c.Name)
		}
		names[c.Name] = true
		if len(c.URLs) == 0 {
			k.fail(at{"clusters", i, "urls"}, "none")
		}
		for j, text := range c.URLs {
			u, err := url.Parse(text)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
				strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
				k.fail(at{"clusters", i, "urls", j}, "not of the form http://host:port or https://host:port")
			}
		}
	}
	return names
}

func (k *checker) routes(clusters map[string]bool) {
	names := map[string]bool{}
	matches := map[[2]string]string{}
	for i, r := range k.c.Routes {
		if r.Name == "" || names[r.Name] {
			k.fail(at{"routes", i, "name"}, "%q is empty or not unique", r.Name)
		}
		names[r.Name] = true
		if r.Host != hostOnly(r.Host) {
			k.fail(at{"routes", i, "host"}, "%q is not in lower case and without port", r.Host)
		}
		if !strings.HasPrefix(r.Path, "/") {
			k.fail(at{"routes", i, "path"}, "%q does not begin with a slash", r.Path)
		}
		if !clusters[r.Cluster] {
			k.fail(at{"routes", i, "cluster"}, "no cluster is named %q", r.Cluster)
		}
		if r.PrefixRewrite != nil && !strings.HasPrefix(*r.PrefixRewrite, "/") {
			k.fail(at{"routes", i, "prefix_rewrite"}, "%q does not begin with a slash", *r.PrefixRewrite)
		}
		if r.Timeout != nil && *r.Timeout < 0 {
			k.fail(at{"routes", i, "timeout"}, "negative")
		}
		match := [2]string{r.Host, strings.TrimRight(r.Path, "/")}
		if other, taken := matches[match]; taken {
			k.fail(at{"routes", i}, "matches the same as route %q", other)
		}
		matches[match] = r.Name
	}
}

func (k *checker) plugins() {
	names := map[string]bool{}
	for i, p := range k.c.Plugins {
		if p.Name == "" || names[p.Name] {
			k.fail(at{"plugins", i, "name"}, "%q is empty or not unique", p.Name)
		}
		names[p.Name] = true
		if p.File == "" {
			k.fail(at{"plugins", i}, "needs a file")
		}
		if sum, err := hex.DecodeString(p.SHA256); err != nil || p.SHA256 != "" && len(sum) != 32 {
			k.fail(at{"plugins", i, "sha256"}, "not 64 hexadecimal digits")
		}
		if p.Fail != "close" && p.Fail != "reload" {
			k.fail(at{"plugins", i, "fail"}, "%q is neither close nor reload", p.Fail)
		}
		if p.Snapshot != "" && !p.Configuration.IsZero() && p.Configuration.Kind != yaml.MappingNode {
			k.fail(at{"plugins", i}, "has a snapshot, so its configuration must be a mapping")
		}
		if kind := p.Configuration.Kind; kind != 0 && kind != yaml.ScalarNode && kind != yaml.MappingNode {
			k.fail(at{"plugins", i, "configuration"}, "neither a text nor a mapping")
		}
		k.env(at{"plugins", i, "env"}, p.Env)
	}
}

func (k *checker) env(where at, env []Env) {
	names := map[string]bool{}
	for i, e := range env {
		if e.Name == "" || names[e.Name] || strings.ContainsAny(e.Name, "=\x00") {
			k.fail(append(where, i, "name"), "%q is not a name, or not unique", e.Name)
		}
		names[e.Name] = true
		if (e.FromFile == "") == (e.FromEnv == "") {
			k.fail(append(where, i), "needs either from_file or from_env")
		}
	}
}
