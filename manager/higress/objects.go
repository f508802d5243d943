// Package higress reads what a Higress gateway is configured with: its routes,
// its MCP servers, and the consumers of its key-auth plugin. It says what of
// that can become Keyward's targets, consumers and grants, and what can't.
//
// It only reads text, so it needs no access to a cluster: the objects are what
// kubectl prints, or the files of a stand-alone Higress.
package higress

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxBytes bounds what is read.
const MaxBytes = 64 << 20

// controllerNamespace is where Higress is installed, unless it was told another.
const controllerNamespace = "higress-system"

// A State is what is configured, as far as it matters here.
type State struct {
	// Namespace of Higress' controller: it names routes of its own namespace
	// without it. Empty: higress-system.
	Namespace string

	ingresses []ingress
	bridges   []bridge
	config    *mcpConfig // nil: there is none
	keyAuth   []keyAuth
}

// An object is one of the Kubernetes API's, or a list of them.
type object struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name        string            `yaml:"name"`
		Namespace   string            `yaml:"namespace"`
		Annotations map[string]string `yaml:"annotations"`
		Labels      map[string]string `yaml:"labels"`
	} `yaml:"metadata"`
	Spec  yaml.Node   `yaml:"spec"`
	Data  yaml.Node   `yaml:"data"`
	Items []yaml.Node `yaml:"items"`
}

// Read adds the objects of a YAML or JSON stream to s. Kinds that say nothing
// about routes are left out; a kind that does and can't be read is an error.
func (s *State) Read(r io.Reader) error {
	limited := &io.LimitedReader{R: r, N: MaxBytes + 1}
	dec := yaml.NewDecoder(limited)
	for n := 1; ; n++ {
		var doc yaml.Node
		err := dec.Decode(&doc)
		switch {
		case limited.N <= 0:
			return fmt.Errorf("more than %d bytes", MaxBytes)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := s.add(&doc, 0); err != nil {
			return fmt.Errorf("document %d: %w", n, err)
		}
	}
}

func (s *State) add(doc *yaml.Node, depth int) error {
	var o object
	if err := doc.Decode(&o); err != nil {
		return err
	}
	if depth == 0 && strings.HasSuffix(o.Kind, "List") {
		for i := range o.Items {
			if err := s.add(&o.Items[i], 1); err != nil {
				return fmt.Errorf("item %d: %w", i+1, err)
			}
		}
		return nil
	}
	err := s.addObject(&o)
	if err != nil {
		err = fmt.Errorf("%s %s/%s: %w", o.Kind, o.Metadata.Namespace, o.Metadata.Name, err)
	}
	return err
}

func (s *State) addObject(o *object) error {
	switch {
	case o.Kind == "Ingress":
		i := ingress{name: o.Metadata.Name, namespace: o.Metadata.Namespace, annotations: o.Metadata.Annotations}
		if err := o.Spec.Decode(&i.spec); err != nil {
			return err
		}
		s.ingresses = append(s.ingresses, i)
	case o.Kind == "McpBridge":
		var b bridge
		if err := o.Spec.Decode(&b); err != nil {
			return err
		}
		s.bridges = append(s.bridges, b)
	case o.Kind == "ConfigMap" && o.Metadata.Name == "higress-config":
		return s.addConfig(o)
	case o.Kind == "WasmPlugin":
		return s.addPlugin(o)
	}
	return nil
}

// A bridge is Higress' list of service registries.
type bridge struct {
	Registries []struct {
		Type   string `yaml:"type"`
		Name   string `yaml:"name"`
		Domain string `yaml:"domain"`
		Port   int    `yaml:"port"`
	} `yaml:"registries"`
}

// An mcpConfig is the part of Higress' own configuration about MCP servers.
type mcpConfig struct {
	Enable    bool `yaml:"enable"`
	MatchList []struct {
		Domain string `yaml:"match_rule_domain"`
		Path   string `yaml:"match_rule_path"`
		Type   string `yaml:"match_rule_type"` // prefix, exact, suffix, contains or regex
	} `yaml:"match_list"`
	Servers []struct {
		Name    string   `yaml:"name"`
		Path    string   `yaml:"path"`
		Domains []string `yaml:"domain_list"`
	} `yaml:"servers"`
}

func (s *State) addConfig(o *object) error {
	var data map[string]string
	if err := o.Data.Decode(&data); err != nil {
		return err
	}
	var c struct {
		MCP *mcpConfig `yaml:"mcpServer"`
	}
	if err := yaml.Unmarshal([]byte(data["higress"]), &c); err != nil {
		return fmt.Errorf("its member higress: %w", err)
	}
	s.config = c.MCP
	return nil
}
