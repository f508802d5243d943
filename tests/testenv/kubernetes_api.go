package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// plurals are the kinds that tests write, with their names in paths.
var plurals = map[string]string{
	"ConfigMap": "configmaps", "Deployment": "deployments", "Ingress": "ingresses", "LimitRange": "limitranges",
	"McpBridge": "mcpbridges", "Namespace": "namespaces", "NetworkPolicy": "networkpolicies", "Node": "nodes",
	"PersistentVolumeClaim": "persistentvolumeclaims", "Pod": "pods", "ResourceQuota": "resourcequotas", "Role": "roles",
	"RoleBinding": "rolebindings", "Secret": "secrets", "Service": "services", "ServiceAccount": "serviceaccounts",
	"WasmPlugin": "wasmplugins", "CustomResourceDefinition": "customresourcedefinitions",
}

// Do sends a request as somebody who may do everything, and returns the answer
// with at most 1 MiB of its body.
func (k *Kubernetes) Do(ctx context.Context, method, path, contentType string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, k.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := k.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, b, err
}

// Request is Do for a test.
func (k *Kubernetes) Request(t testing.TB, method, path, contentType string, body []byte) (int, []byte) {
	t.Helper()
	code, b, err := k.Do(t.Context(), method, path, contentType, body)
	if err != nil {
		t.Fatal(err)
	}
	return code, b
}

// A Manifest is one object of a YAML stream.
type Manifest struct {
	Kind, Name, Namespace string
	Path                  string // of the object in the API
	YAML                  []byte
}

// Manifests reads a YAML stream of objects.
func Manifests(t testing.TB, stream []byte) []Manifest {
	t.Helper()
	var list []Manifest
	for dec := yaml.NewDecoder(bytes.NewReader(stream)); ; {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		var o struct {
			APIVersion string `yaml:"apiVersion"`
			Kind       string `yaml:"kind"`
			Metadata   struct{ Name, Namespace string }
		}
		text, err := yaml.Marshal(&doc)
		if err = errors.Join(err, doc.Decode(&o)); err != nil {
			t.Fatal(err)
		}
		base := "/apis/" + o.APIVersion
		if !strings.Contains(o.APIVersion, "/") {
			base = "/api/" + o.APIVersion
		}
		if o.Metadata.Namespace != "" {
			base += "/namespaces/" + o.Metadata.Namespace
		}
		plural, ok := plurals[o.Kind]
		if !ok {
			t.Fatalf("kind %q is not known here", o.Kind)
		}
		list = append(list, Manifest{o.Kind, o.Metadata.Name, o.Metadata.Namespace, base + "/" + plural + "/" + o.Metadata.Name, text})
	}
}

// Apply makes objects what they say, or with dry only asks whether it could. A
// member that the API does not know is an error.
func (k *Kubernetes) Apply(t testing.TB, dry bool, list ...Manifest) {
	t.Helper()
	query := "?fieldManager=test&force=true&fieldValidation=Strict"
	if dry {
		query += "&dryRun=All"
	}
	for _, m := range list {
		if code, b := k.Request(t, http.MethodPatch, m.Path+query, "application/apply-patch+yaml", m.YAML); code != http.StatusOK && code != http.StatusCreated {
			t.Errorf("%s %s/%s: %d: %s", m.Kind, m.Namespace, m.Name, code, b)
		}
	}
}

// ServiceAccount returns a kubeconfig of a service account, with a token that the
// API server issued.
func (k *Kubernetes) ServiceAccount(t testing.TB, namespace, name string) (file string) {
	t.Helper()
	path := "/api/v1/namespaces/" + namespace + "/serviceaccounts/" + name + "/token"
	code, b := k.Request(t, http.MethodPost, path, "application/json", []byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`))
	var answer struct{ Status struct{ Token string } }
	if err := json.Unmarshal(b, &answer); code != http.StatusCreated || err != nil || answer.Status.Token == "" {
		t.Fatalf("token of %s/%s: %d, %v", namespace, name, code, err)
	}
	file = filepath.Join(t.TempDir(), name)
	config := fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: account}}]
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: account, user: {token: %q}}]
`, k.URL, filepath.Join(filepath.Dir(k.Kubeconfig), "ca.crt"), answer.Status.Token)
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
