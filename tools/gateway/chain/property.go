package chain

import (
	"slices"
	"strings"

	"keyward/plugins/filter"
)

// hostProperties are the first path elements that Envoy reads itself. A filter
// can't set a property of such a name in a way that any filter could read.
var hostProperties = []string{
	"cluster_metadata", "cluster_name", "connection", "connection_id", "destination", "filter_state",
	"listener_direction", "listener_metadata", "metadata", "node", "plugin_name", "plugin_root_id", "plugin_vm_id",
	"request", "response", "route_metadata", "route_name", "source", "upstream", "upstream_host_metadata", "xds",
}

// filterState is where Envoy keeps what wasm filters set.
const filterState = "wasm."

// Property implements [filter.Stream]: what a filter set, by its one name or as
// "filter_state", "wasm.NAME"; and what the host knows.
func (v *View) Property(path ...string) ([]byte, error) {
	if len(path) == 0 {
		return nil, v.misuse("reads a property without a name")
	}
	switch {
	case path[0] == "filter_state":
		if len(path) != 2 {
			return nil, v.misuse("reads filter_state by a path that is not of two elements")
		}
		if name, ok := strings.CutPrefix(path[1], filterState); ok {
			return v.byName(name)
		}
		return nil, filter.ErrNotFound
	case len(path) == 1 && (path[0] == "plugin_root_id" || path[0] == "plugin_name"):
		return []byte(v.s.opt.Filters[v.i].Name()), nil
	case slices.Contains(hostProperties, path[0]):
		if v.s.opt.Property != nil {
			if b, ok := v.s.opt.Property(path); ok {
				return b, nil
			}
		}
		return nil, filter.ErrNotFound
	case len(path) > 1:
		return nil, v.misuse("reads a filter's property by more than one name")
	}
	return v.byName(path[0])
}

func (v *View) byName(name string) ([]byte, error) {
	if b, ok := v.s.properties[name]; ok {
		return b, nil
	}
	return nil, filter.ErrNotFound
}

// SetProperty implements [filter.Stream].
func (v *View) SetProperty(name string, value []byte) error {
	switch {
	case name == "" || strings.Contains(name, "\x00"):
		return v.misuse("sets a property by other than one name")
	case slices.Contains(hostProperties, name):
		return v.misuse("sets property " + name + ", which the host reads itself")
	case len(value) == 0:
		return v.misuse("sets property " + name + " to nothing")
	}
	if v.s.properties == nil {
		v.s.properties = map[string][]byte{}
	}
	v.s.properties[name] = slices.Clone(value)
	return nil
}
