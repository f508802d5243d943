package higress

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyward/manager"
	"keyward/policies"
)

// A keyAuth is one configuration of Higress' key-auth plugin, without its keys.
type keyAuth struct {
	name   string
	config struct {
		Consumers []struct {
			Name string `yaml:"name"`
		} `yaml:"consumers"`
		GlobalAuth *bool `yaml:"global_auth"`
	}
	rules []struct {
		Ingress []string `yaml:"ingress"`
		Domain  []string `yaml:"domain"`
		Service []string `yaml:"service"`
		Disable bool     `yaml:"configDisable"`
		Config  struct {
			Allow []string `yaml:"allow"`
		} `yaml:"config"`
	}
}

// addPlugin keeps the configuration of key-auth. Its keys are never read: they
// lie in clear in the resource, and so count as known.
func (s *State) addPlugin(o *object) error {
	var spec struct {
		PluginName string `yaml:"pluginName"`
		URL        string `yaml:"url"`
	}
	if err := o.Spec.Decode(&spec); err != nil {
		return err
	}
	if spec.PluginName != "key-auth" && !strings.HasPrefix(o.Metadata.Name, "key-auth") && !strings.Contains(spec.URL, "/key-auth") {
		return nil
	}
	var parts struct {
		Default yaml.Node `yaml:"defaultConfig"`
		Rules   yaml.Node `yaml:"matchRules"`
	}
	if err := o.Spec.Decode(&parts); err != nil {
		return err
	}
	k := keyAuth{name: o.Metadata.Namespace + "/" + o.Metadata.Name}
	if err := errors.Join(parts.Default.Decode(&k.config), parts.Rules.Decode(&k.rules)); err != nil {
		return err
	}
	s.keyAuth = append(s.keyAuth, k)
	return nil
}

// An Import is what key-auth's consumers become.
type Import struct {
	Consumers []manager.ConsumerSpec `json:"consumers"`
	Grants    []manager.NewGrant     `json:"grants"`
	Left      []string               `json:"left,omitempty"` // what has no counterpart
}

// Import returns what the consumers of key-auth, and the routes that let them in,
// become. targets are those that the routes became.
func (s *State) Import(targets []Proposal) Import {
	im := importer{
		controller: cmp.Or(s.Namespace, controllerNamespace), ids: map[string]string{}, targets: map[string]manager.NewTarget{},
		open: map[string]bool{},
	}
	for _, t := range targets {
		for _, m := range t.Target.Match {
			if m.Route != "" {
				im.targets[m.Route] = t.Target
			}
		}
	}
	for _, k := range s.keyAuth {
		im.consumers(k)
	}
	for _, k := range s.keyAuth {
		im.rules(k)
	}
	if len(s.keyAuth) == 0 {
		im.left("there is no configuration of key-auth")
	}
	return im.Import
}

type importer struct {
	Import
	controller string
	ids        map[string]string            // name at Higress to id
	targets    map[string]manager.NewTarget // by route
	open       map[string]bool              // consumer and target that have their grant
}

func (im *importer) left(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(im.Left, text) {
		im.Left = append(im.Left, text)
	}
}

func (im *importer) consumers(k keyAuth) {
	for _, c := range k.config.Consumers {
		if c.Name == "" {
			im.left("WasmPlugin %s: a consumer without a name", k.name)
			continue
		}
		if _, twice := im.ids[c.Name]; twice {
			continue
		}
		id := plain(c.Name)
		if slices.ContainsFunc(im.Consumers, func(o manager.ConsumerSpec) bool { return o.ID == id }) {
			im.left("consumer %q: its id %q would be another consumer's", c.Name, id)
			continue
		}
		kind := "service"
		if strings.HasPrefix(id, "worker-") {
			kind = "worker"
		}
		im.ids[c.Name] = id
		im.Consumers = append(im.Consumers, manager.ConsumerSpec{
			ID: id, Kind: kind, ConsumerUpdate: manager.ConsumerUpdate{Labels: map[string]string{"higress": c.Name}},
		})
	}
	if g := k.config.GlobalAuth; g != nil && *g {
		im.left("WasmPlugin %s: global_auth lets every consumer use every route without a rule of its own; no grant was made of that", k.name)
	}
}

func (im *importer) rules(k keyAuth) {
	for n, r := range k.rules {
		where := fmt.Sprintf("WasmPlugin %s, rule %d", k.name, n+1)
		switch {
		case r.Disable:
			im.left("%s: is turned off, so nobody is asked for a key on %s", where, strings.Join(slices.Concat(r.Ingress, r.Domain, r.Service), ", "))
			continue
		case len(r.Domain)+len(r.Service) > 0 && len(r.Ingress) == 0:
			im.left("%s: is for %s; only rules for routes can be taken over", where, strings.Join(slices.Concat(r.Domain, r.Service), ", "))
			continue
		}
		for _, route := range r.Ingress {
			im.allow(where, strings.TrimPrefix(route, im.controller+"/"), r.Config.Allow)
		}
	}
}

func (im *importer) allow(where, route string, names []string) {
	t, ok := im.targets[route]
	if !ok {
		im.left("%s: route %q is no target", where, route)
		return
	}
	for _, name := range names {
		id, ok := im.ids[name]
		if !ok {
			im.left("%s: consumer %q is not known", where, name)
			continue
		}
		key := id + " " + t.ID
		if im.open[key] {
			continue
		}
		im.open[key] = true
		g := manager.NewGrant{Consumer: id, Target: t.ID}
		if t.Kind == policies.KindMCP { // key-auth knows no tools
			g.Tools, g.Prompts, g.Resources = []string{"*"}, []string{"*"}, []string{"*"}
		}
		im.Grants = append(im.Grants, g)
	}
}
