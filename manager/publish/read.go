package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// readPage is how many objects are asked for at a time.
const readPage = 200

// sources are the kinds that say what a Higress gateway is configured with.
var sources = []struct {
	resource schema.GroupVersionResource
	own      bool   // only of Higress' own namespace
	name     string // only the one of this name; empty: all
}{
	{schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}, false, ""},
	{schema.GroupVersionResource{Group: "networking.higress.io", Version: "v1", Resource: "mcpbridges"}, true, ""},
	{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, true, "higress-config"},
	{wasmPlugins, true, ""},
}

// Read writes the objects that say what a Higress gateway is configured with, as
// a stream of JSON: its routes in all namespaces, and its registries, MCP servers
// and plugins. What there is no definition of is left out. It changes nothing.
func Read(ctx context.Context, opt ClusterOptions, w io.Writer) error {
	c, err := NewCluster(opt)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	for _, s := range sources {
		objects := dynamic.ResourceInterface(c.client.Resource(s.resource))
		if s.own {
			objects = c.client.Resource(s.resource).Namespace(c.namespace)
		}
		var query metav1.ListOptions
		if s.name != "" {
			query.FieldSelector = "metadata.name=" + s.name
		}
		err := each(ctx, objects, query, func(o *unstructured.Unstructured) error { return enc.Encode(o) })
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("kubernetes: %s: %w", s.resource.Resource, err)
		}
	}
	return nil
}

// each lists objects page by page.
func each(ctx context.Context, from dynamic.ResourceInterface, query metav1.ListOptions, take func(*unstructured.Unstructured) error) error {
	query.Limit = readPage
	for {
		list, err := from.List(ctx, query)
		if err != nil {
			return err
		}
		for i := range list.Items {
			if err := take(&list.Items[i]); err != nil {
				return err
			}
		}
		if query.Continue = list.GetContinue(); query.Continue == "" {
			return nil
		}
	}
}
