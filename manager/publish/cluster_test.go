package publish

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"keyward/tests/testenv"
)

// A cluster is a real API server with Higress' definitions and the Manager's
// rights.
type cluster struct {
	*testenv.Kubernetes
	admin   dynamic.Interface
	manager string // kubeconfig of the Manager's service account
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{Kubernetes: testenv.StartKubernetes(t)}
	role, err := os.ReadFile("../../deploy/kubernetes/publish.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, false, testenv.Manifests(t, append([]byte(`apiVersion: v1
kind: Namespace
metadata: {name: higress-system}
---
apiVersion: v1
kind: Namespace
metadata: {name: keyward}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: keyward-manager, namespace: keyward}
---
apiVersion: v1
kind: Secret
metadata: {name: keyward-gateway, namespace: higress-system}
---
`), role...))...)
	c.manager = c.ServiceAccount(t, "keyward", "keyward-manager")
	c.admin = c.client(t, c.Kubeconfig)
	return c
}

func (c *cluster) client(t *testing.T, kubeconfig string) dynamic.Interface {
	t.Helper()
	config, err := restConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1 // it is the test's own server
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (c *cluster) plugins() dynamic.ResourceInterface {
	return c.admin.Resource(wasmPlugins).Namespace(DefaultNamespace)
}

func TestCluster(t *testing.T) {
	c := newCluster(t)
	for _, mode := range []string{"apply", "standalone"} {
		t.Run(mode, func(t *testing.T) {
			opt := ClusterOptions{Kubeconfig: c.manager, Log: slog.New(slog.DiscardHandler)}
			if mode == "standalone" { // whose API server asks nobody for rights
				opt.Kubeconfig, opt.Standalone = c.Kubeconfig, true
			}
			place, err := NewCluster(opt)
			if err != nil {
				t.Fatal(err)
			}
			testPlace(t, c, place)
		})
	}
	t.Run("a publisher repairs what others change", func(t *testing.T) { testRepair(t, c) })
	t.Run("the Role is enough for nothing else", func(t *testing.T) { testRole(t, c) })
	t.Run("what Higress has is read", func(t *testing.T) { testRead(t, c) })
}

func testPlace(t *testing.T, c *cluster, place *Cluster) {
	list := resources(t)
	for _, want := range []ChangeKind{Created, Unchanged} {
		for _, r := range list {
			if got, err := place.Apply(t.Context(), r); err != nil || got.Kind != want {
				t.Fatalf("%s: %+v, %v; want %q", r.Metadata.Name, got, err, want)
			}
		}
	}
	wants, err := object(list[1])
	if err != nil {
		t.Fatal(err)
	}
	for name, patch := range map[string]string{
		"fails open":             `{"spec":{"failStrategy":"FAIL_OPEN"}}`,
		"is turned off":          `{"spec":{"defaultConfigDisable":true}}`,
		"has rules":              `{"spec":{"matchRules":[{"configDisable":true,"ingress":["a"]}]}}`,
		"has another digest":     `{"spec":{"sha256":"00","url":"http://evil.test/x"}}`,
		"has more configuration": `{"spec":{"pluginConfig":{"snapshot":{"generation":8,"x":1}}}}`,
		"has no configuration":   `{"spec":{"pluginConfig":null}}`,
		"has another variable":   `{"spec":{"vmConfig":{"env":[{"name":"KEYWARD_GATEWAY_KEYS","valueFrom":"INLINE","value":"mine"}]}}}`,
		"is the Console's":       `{"metadata":{"labels":{"higress.io/resource-definer":"higress"}}}`,
		"has no label":           `{"metadata":{"labels":null}}`,
	} {
		_, err := c.plugins().Patch(t.Context(), "keyward-key-swap", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := place.Apply(t.Context(), list[1])
		if err != nil || got.Kind != Repaired || got.By != "somebody" && got.By != "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		is, err := c.plugins().Get(t.Context(), "keyward-key-swap", metav1.GetOptions{})
		if err != nil || !same(is.Object, wants) {
			t.Errorf("%s: it is %v, %v", name, is, err)
		}
		if got, err := place.Apply(t.Context(), list[1]); err != nil || got.Kind != Unchanged {
			t.Errorf("%s, again: %+v, %v", name, got, err)
		}
	}
	elsewhere := list[0]
	elsewhere.Metadata.Namespace = "default"
	if _, err := place.Apply(t.Context(), elsewhere); err == nil {
		t.Error("applied to another namespace")
	}
	for _, r := range list {
		if err := c.plugins().Delete(t.Context(), r.Metadata.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}
}

func testRepair(t *testing.T, c *cluster) {
	place, err := NewCluster(ClusterOptions{Kubeconfig: c.manager, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan string, 64)
	p := NewPublisher(place, resources(t), PublisherOptions{
		Log: slog.New(slog.DiscardHandler),
		Changed: func(resource string, c Change, err error) {
			if err != nil {
				t.Errorf("%s: %v", resource, err)
			}
			changes <- resource + " " + string(c.Kind)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(ctx)
	}()
	for _, want := range []string{"keyward-gate created", "keyward-key-swap created"} {
		if got := <-changes; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	patch := []byte(`{"spec":{"failStrategy":"FAIL_OPEN"}}`)
	if _, err := c.plugins().Patch(t.Context(), "keyward-gate", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := <-changes; got != "keyward-gate repaired" {
		t.Errorf("after a change: %q", got)
	}
	if err := c.plugins().Delete(t.Context(), "keyward-key-swap", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := <-changes; got != "keyward-key-swap created" {
		t.Errorf("after its removal: %q", got)
	}
	cancel()
	<-ended
}

// testRole tries with the Manager's rights what it must not be able to do.
func testRole(t *testing.T, c *cluster) {
	other := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "extensions.higress.io/v1alpha1", "kind": "WasmPlugin",
		"metadata": map[string]any{"name": "other", "namespace": DefaultNamespace}, "spec": map[string]any{},
	}}
	if _, err := c.plugins().Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	client := c.client(t, c.manager)
	plugins := client.Resource(wasmPlugins).Namespace(DefaultNamespace)
	elsewhere := client.Resource(wasmPlugins).Namespace("keyward")
	in := func(resource string) dynamic.ResourceInterface {
		return client.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).Namespace(DefaultNamespace)
	}
	apply := metav1.ApplyOptions{FieldManager: "x", Force: true}
	for name, try := range map[string]func() error{
		"read another plugin": func() error { _, err := plugins.Get(t.Context(), "other", metav1.GetOptions{}); return err },
		"list plugins":        func() error { _, err := plugins.List(t.Context(), metav1.ListOptions{}); return err },
		"watch plugins":       func() error { _, err := plugins.Watch(t.Context(), metav1.ListOptions{}); return err },
		"make another plugin": func() error {
			_, err := plugins.Create(t.Context(), renamed(other, "third"), metav1.CreateOptions{})
			return err
		},
		"apply another plugin": func() error { _, err := plugins.Apply(t.Context(), "other", other, apply); return err },
		"update its own whole": func() error {
			_, err := plugins.Update(t.Context(), renamed(other, "keyward-gate"), metav1.UpdateOptions{})
			return err
		},
		"delete its own": func() error { return plugins.Delete(t.Context(), "keyward-gate", metav1.DeleteOptions{}) },
		"delete all": func() error {
			return plugins.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		"apply in other namespace": func() error {
			_, err := elsewhere.Apply(t.Context(), "keyward-gate", renamed(other, "keyward-gate"), apply)
			return err
		},
		"read the gateway's keys": func() error {
			_, err := in("secrets").Get(t.Context(), "keyward-gateway", metav1.GetOptions{})
			return err
		},
		"list secrets": func() error { _, err := in("secrets").List(t.Context(), metav1.ListOptions{}); return err },
		"read Higress' settings": func() error {
			_, err := in("configmaps").Get(t.Context(), "higress-config", metav1.GetOptions{})
			return err
		},
		"list Pods": func() error { _, err := in("pods").List(t.Context(), metav1.ListOptions{}); return err },
	} {
		if err := try(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want that it is forbidden", name, err)
		}
	}
	if code, _ := c.Request(t, http.MethodGet, "/apis/extensions.higress.io/v1alpha1/namespaces/higress-system/wasmplugins/keyward-gate", "", nil); code != http.StatusOK {
		t.Errorf("after all tries the Manager's plugin answers %d", code)
	}
}

func renamed(u *unstructured.Unstructured, name string) *unstructured.Unstructured {
	c := u.DeepCopy()
	c.SetName(name)
	return c
}

func TestNewClusterRefuses(t *testing.T) {
	if _, err := NewCluster(ClusterOptions{Kubeconfig: "testdata/none"}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a kubeconfig that is not there: %v", err)
	}
}
