package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"keyward/tests/testenv"
	"keyward/tools/manager"
)

// TestManifests asks a real API server whether it takes what deploy/kubernetes
// has, strictly, and whether the Manager's Pod passes the restricted level that
// its namespace enforces.
func TestManifests(t *testing.T) {
	k := testenv.StartKubernetes(t)
	k.Apply(t, false, testenv.Manifests(t, []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: higress-system}\n"))...)
	for _, name := range []string{"manager.yaml", "publish.yaml", "workers.yaml"} {
		text, err := os.ReadFile(filepath.Join(testenv.Root(t), "deploy", "kubernetes", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testenv.Manifests(t, text) {
			k.Apply(t, true, m)
			k.Apply(t, false, m)
			switch m.Kind {
			case "Deployment":
				k.Apply(t, true, podOf(t, m))
			case "ConfigMap":
				loadConfig(t, m)
			}
		}
	}
	// The level is enforced: the same Pod with a privilege is refused.
	bad := []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bad"},"spec":{"serviceAccountName":"keyward-manager","containers":[{"name":"a","image":"a"}]}}`)
	if code, b := k.Request(t, http.MethodPost, "/api/v1/namespaces/keyward/pods?dryRun=All", "application/json", bad); code != http.StatusForbidden {
		t.Errorf("a Pod without a security context: %d: %s", code, b)
	}
}

// podOf is the Pod that a Deployment would make.
func podOf(t *testing.T, m testenv.Manifest) testenv.Manifest {
	t.Helper()
	var d struct {
		Spec struct{ Template struct{ Spec yaml.Node } }
	}
	if err := yaml.Unmarshal(m.YAML, &d); err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": m.Name, "namespace": m.Namespace}, "spec": &d.Spec.Template.Spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	return testenv.Manifests(t, text)[0]
}

// loadConfig checks the configuration in a ConfigMap as the Manager would.
func loadConfig(t *testing.T, m testenv.Manifest) {
	t.Helper()
	var c struct{ Data map[string]string }
	if err := yaml.Unmarshal(m.YAML, &c); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "manager.yaml")
	if err := os.WriteFile(path, []byte(c.Data["manager.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := manager.LoadConfig(path)
	if err != nil {
		t.Errorf("%s: %v", m.Name, err)
		return
	}
	for name, file := range map[string]string{"store": config.Store.DSN, "gateways: signingKey": config.Gateways.SigningKey, "log: key": config.Log.Key} {
		if !strings.HasPrefix(file, "/var/lib/keyward/") {
			t.Errorf("%s: %s is %s, which the Pod can't write", m.Name, name, file)
		}
	}
}
