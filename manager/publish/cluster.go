package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
)

// fieldManager owns what Keyward sets of a resource.
const fieldManager = "keyward"

var wasmPlugins = schema.GroupVersionResource{Group: "extensions.higress.io", Version: "v1alpha1", Resource: "wasmplugins"}

// A Cluster is a Place behind the Kubernetes API, or behind the API server of a
// stand-alone Higress.
type Cluster struct {
	client     dynamic.Interface
	namespace  string
	standalone bool
	log        *slog.Logger
}

var _ Place = (*Cluster)(nil)

// ClusterOptions say how an API is reached.
type ClusterOptions struct {
	Kubeconfig string // file; empty: the service account of the Pod that this runs in
	Namespace  string // empty: [DefaultNamespace]
	// Standalone is for a stand-alone Higress, whose API server knows no
	// server-side apply: resources are read, compared and put.
	Standalone bool
	Log        *slog.Logger // nil: slog.Default
}

// NewCluster returns a place. It does not talk to the API yet.
func NewCluster(opt ClusterOptions) (*Cluster, error) {
	config, err := restConfig(opt.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	c := &Cluster{client: client, namespace: opt.Namespace, standalone: opt.Standalone, log: opt.Log}
	if c.namespace == "" {
		c.namespace = DefaultNamespace
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	return c, nil
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

func (c *Cluster) plugins() dynamic.ResourceInterface {
	return c.client.Resource(wasmPlugins).Namespace(c.namespace)
}

// Apply implements [Place]. Two who apply at once do not undo each other: the API
// merges by field, and what is taken away is taken from the version that was
// read.
func (c *Cluster) Apply(ctx context.Context, r Resource) (Change, error) {
	if r.Metadata.Namespace != c.namespace {
		return Change{}, fmt.Errorf("%s: namespace %q is not %q", r.Metadata.Name, r.Metadata.Namespace, c.namespace)
	}
	want, err := object(r)
	if err != nil {
		return Change{}, err
	}
	var change Change
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		before, err := c.plugins().Get(ctx, r.Metadata.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			before, err = nil, nil
		}
		if err != nil {
			return err
		}
		after, err := c.write(ctx, before, want)
		if err != nil {
			return err
		}
		change = changed(before, after)
		return nil
	})
	if err != nil {
		return Change{}, fmt.Errorf("WasmPlugin %s/%s: %w", c.namespace, r.Metadata.Name, err)
	}
	return change, nil
}

func (c *Cluster) write(ctx context.Context, before *unstructured.Unstructured, want map[string]any) (*unstructured.Unstructured, error) {
	if c.standalone {
		return c.put(ctx, before, want)
	}
	name := (&unstructured.Unstructured{Object: want}).GetName()
	after, err := c.plugins().Apply(ctx, name, &unstructured.Unstructured{Object: want},
		metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return nil, err
	}
	patch := strange(after.Object, want)
	if patch == nil {
		return after, nil
	}
	meta, _ := patch["metadata"].(map[string]any) // nil: no label to take away
	if meta == nil {
		meta = map[string]any{}
		patch["metadata"] = meta
	}
	meta["resourceVersion"] = after.GetResourceVersion() // of what was read, or a conflict
	text, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	return c.plugins().Patch(ctx, name, types.MergePatchType, text, metav1.PatchOptions{FieldManager: fieldManager})
}

// put writes the whole object, where the one that is there differs.
func (c *Cluster) put(ctx context.Context, before *unstructured.Unstructured, want map[string]any) (*unstructured.Unstructured, error) {
	if before == nil {
		return c.plugins().Create(ctx, &unstructured.Unstructured{Object: want}, metav1.CreateOptions{FieldManager: fieldManager})
	}
	if same(before.Object, want) {
		return before, nil
	}
	next := (&unstructured.Unstructured{Object: want}).DeepCopy()
	next.SetResourceVersion(before.GetResourceVersion())
	return c.plugins().Update(ctx, next, metav1.UpdateOptions{FieldManager: fieldManager})
}

// same reports whether an object has the spec and labels that are wanted.
func same(have, want map[string]any) bool {
	if !reflect.DeepEqual(have["spec"], want["spec"]) || strange(have, want) != nil {
		return false
	}
	labels := member(member(have, "metadata"), "labels")
	for name, v := range member(member(want, "metadata"), "labels") {
		if labels[name] != v {
			return false
		}
	}
	return true
}

func changed(before, after *unstructured.Unstructured) Change {
	switch {
	case before == nil || before.GetUID() != after.GetUID(): // removed meanwhile
		return Change{Kind: Created}
	case before.GetResourceVersion() == after.GetResourceVersion():
		return Change{}
	}
	change := Change{Kind: Repaired}
	var last metav1.Time
	for _, m := range before.GetManagedFields() {
		if m.Time != nil && !m.Time.Before(&last) {
			last, change.By = *m.Time, m.Manager
		}
	}
	if change.By == fieldManager { // who only takes away leaves no trace
		change.By = ""
	}
	return change
}

// decodeObject reads one YAML object as the Kubernetes API would.
func decodeObject(text []byte) (map[string]any, error) {
	v, err := yamlValue(text)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(b); err != nil {
		return nil, err
	}
	return u.Object, nil
}

// Watch implements [Place]. It asks for each name alone, so that its rights need
// to reach no further.
func (c *Cluster) Watch(ctx context.Context, names []string, changed func()) error {
	var done sync.WaitGroup
	defer done.Wait()
	for _, name := range names {
		informer, err := c.informer(name, changed)
		if err != nil {
			return err
		}
		done.Go(func() { informer.RunWithContext(ctx) })
	}
	return nil
}

func (c *Cluster) informer(name string, changed func()) (cache.SharedIndexInformer, error) {
	only := func(o metav1.ListOptions) metav1.ListOptions {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
		return o
	}
	informer := cache.NewSharedIndexInformer(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return c.plugins().List(ctx, only(o))
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return c.plugins().Watch(ctx, only(o))
		},
	}, &unstructured.Unstructured{}, 0, cache.Indexers{})
	err := informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
		if ctx.Err() == nil {
			c.log.WarnContext(ctx, "watching a resource failed", slog.String("resource", name), slog.Any("error", err))
		}
	})
	if err != nil {
		return nil, err
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { changed() },
		UpdateFunc: func(any, any) { changed() },
		DeleteFunc: func(any) { changed() },
	})
	return informer, err
}
