package higress

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// An ingress is a route of Higress' with its annotations.
type ingress struct {
	name, namespace string
	annotations     map[string]string
	spec            struct {
		Class string `yaml:"ingressClassName"`
		Rules []struct {
			Host string `yaml:"host"`
			HTTP struct {
				Paths []struct {
					Path    string  `yaml:"path"`
					Type    string  `yaml:"pathType"`
					Backend backend `yaml:"backend"`
				} `yaml:"paths"`
			} `yaml:"http"`
		} `yaml:"rules"`
	}
}

type backend struct {
	Service *struct {
		Name string `yaml:"name"`
		Port struct {
			Number int    `yaml:"number"`
			Name   string `yaml:"name"`
		} `yaml:"port"`
	} `yaml:"service"`
	Resource yaml.Node `yaml:"resource"`
}

// Parts of names that Higress' Console gives.
const (
	aiPrefix       = "ai-route-"
	mcpPrefix      = "mcp-server-"
	internalSuffix = ".internal"
	fallbackSuffix = ".fallback" + internalSuffix
)

// annotation returns an annotation under Higress' prefix, or under nginx', which
// Higress reads as well.
func (i *ingress) annotation(name string) string {
	if v, ok := i.annotations["higress.io/"+name]; ok {
		return v
	}
	return i.annotations["nginx.ingress.kubernetes.io/"+name]
}

// route is what Higress calls an ingress' routes, and what a plugin sees.
func (i *ingress) route(controller string) string {
	if i.namespace == controller || i.namespace == "" {
		return i.name
	}
	return i.namespace + "/" + i.name
}

func (i *ingress) String() string { return "Ingress " + i.namespace + "/" + i.name }

func (i *ingress) hosts() []string {
	var list []string
	for _, r := range i.spec.Rules {
		if r.Host != "" && !slices.Contains(list, r.Host) {
			list = append(list, r.Host)
		}
	}
	return list
}

func (i *ingress) paths() []string {
	var list []string
	for _, r := range i.spec.Rules {
		for _, p := range r.HTTP.Paths {
			if !slices.Contains(list, p.Path) {
				list = append(list, p.Path)
			}
		}
	}
	return list
}

// clusters are the gateway's names for where a route leads, and notes for what
// can't be told.
func (i *ingress) clusters() (list, notes []string) {
	add := func(host string, port int, subset string) {
		if c := fmt.Sprintf("outbound|%d|%s|%s", port, subset, host); !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	if d := i.annotations["higress.io/destination"]; d != "" {
		for _, line := range strings.Split(strings.TrimSpace(d), "\n") {
			host, port, subset, err := destination(line)
			if err != nil {
				notes = append(notes, err.Error())
				continue
			}
			add(host, port, subset)
		}
		return list, notes
	}
	for _, r := range i.spec.Rules {
		for _, p := range r.HTTP.Paths {
			switch s := p.Backend.Service; {
			case s == nil:
				notes = append(notes, "a path has no Service as its backend and no destination: which cluster it leads to is not known")
			case s.Port.Number == 0:
				notes = append(notes, fmt.Sprintf("Service %q is reached by the name of a port, %q: which number that is, is not known", s.Name, s.Port.Name))
			default:
				add(s.Name+"."+i.namespace+".svc.cluster.local", s.Port.Number, "")
			}
		}
	}
	return list, notes
}

// destination reads one line of Higress' annotation: [WEIGHT%] HOST[:PORT]
// [SUBSET].
func destination(line string) (host string, port int, subset string, err error) {
	parts := strings.Fields(line)
	if len(parts) > 0 && strings.HasSuffix(parts[0], "%") {
		parts = parts[1:]
	}
	if len(parts) == 0 || len(parts) > 2 {
		return "", 0, "", fmt.Errorf("destination %q can't be read", line)
	}
	colon := strings.LastIndexByte(parts[0], ':')
	if colon < 0 {
		return "", 0, "", fmt.Errorf("destination %q has no port: which cluster it is, is not known", line)
	}
	port, err = strconv.Atoi(parts[0][colon+1:])
	if err != nil || port < 1 || port > 65535 || colon == 0 {
		return "", 0, "", fmt.Errorf("destination %q has no port that could be one", line)
	}
	if len(parts) == 2 {
		subset = parts[1]
	}
	return parts[0][:colon], port, subset, nil
}
