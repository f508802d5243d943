package publish

import (
	"context"

	"go.yaml.in/yaml/v3"
)

// A Place is where a gateway's control plane reads resources: an API, or a
// folder.
type Place interface {
	// Apply makes a resource what r says, and takes away what others put into it
	// that could change what it does. A change says that it was not so before.
	Apply(ctx context.Context, r Resource) (Change, error)
	// Watch calls changed when one of the named resources may have been changed
	// or removed, until ctx is done. It returns early with an error alone.
	Watch(ctx context.Context, names []string, changed func()) error
}

// A Change is what an Apply did.
type Change struct {
	Kind ChangeKind
	By   string // who had changed the resource last, as far as that is known
}

// A ChangeKind says what was wrong with a resource.
type ChangeKind string

// The kinds.
const (
	Unchanged ChangeKind = ""
	Created   ChangeKind = "created"
	Repaired  ChangeKind = "repaired" // it was another, or an older one
)

// consoleLabel marks what Higress' Console takes over and lets fail open.
const consoleLabel = "higress.io/resource-definer"

// object is r as the Kubernetes API has it: maps, lists and JSON's scalars.
func object(r Resource) (map[string]any, error) {
	text, err := Marshal([]Resource{r})
	if err != nil {
		return nil, err
	}
	return decodeObject(text)
}

// surplus is what has to be merged into have so that it holds no more than want:
// null for each member that want lacks (RFC 7396). nil: it holds no more.
func surplus(have, want map[string]any) map[string]any {
	var patch map[string]any
	set := func(name string, v any) {
		if patch == nil {
			patch = map[string]any{}
		}
		patch[name] = v
	}
	for name, h := range have {
		w, wanted := want[name]
		if !wanted {
			set(name, nil)
			continue
		}
		inner, ok := h.(map[string]any)
		wantInner, wantOK := w.(map[string]any)
		if ok && wantOK {
			if p := surplus(inner, wantInner); p != nil {
				set(name, p)
			}
		}
	}
	return patch
}

// strange is the patch that takes away from have what others put into its spec,
// and the label with which Higress' Console claims it; nil: nothing.
func strange(have, want map[string]any) map[string]any {
	var patch map[string]any
	if p := surplus(member(have, "spec"), member(want, "spec")); p != nil {
		patch = map[string]any{"spec": p}
	}
	if _, claimed := member(member(have, "metadata"), "labels")[consoleLabel]; claimed {
		if patch == nil {
			patch = map[string]any{}
		}
		patch["metadata"] = map[string]any{"labels": map[string]any{consoleLabel: nil}}
	}
	return patch
}

func member(m map[string]any, name string) map[string]any {
	v, _ := m[name].(map[string]any) // absent or something else: nil
	return v
}

// yamlValue reads one YAML document as maps, lists and scalars.
func yamlValue(text []byte) (any, error) {
	var v any
	err := yaml.Unmarshal(text, &v)
	return v, err
}
