package publish

import (
	"bytes"
	"encoding/json"
	"testing"

	"keyward/tests/testenv"
)

// testRead reads what a gateway is configured with, and nothing beside it.
func testRead(t *testing.T, c *cluster) {
	c.Apply(t, false, testenv.Manifests(t, []byte(`apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: site, namespace: shop}
spec:
  ingressClassName: higress
  rules: [{http: {paths: [{path: /site, pathType: Prefix, backend: {service: {name: site, port: {number: 80}}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: mcp-server-github.internal, namespace: higress-system, annotations: {higress.io/destination: "github.dns:443"}}
spec:
  ingressClassName: higress
  rules: [{http: {paths: [{path: /mcp-servers/github, pathType: Prefix, backend: {resource: {apiGroup: networking.higress.io, kind: McpBridge, name: default}}}]}}]
---
apiVersion: networking.higress.io/v1
kind: McpBridge
metadata: {name: default, namespace: higress-system}
spec: {registries: [{type: dns, name: github, domain: api.githubcopilot.com, port: 443}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: higress-config, namespace: higress-system}
data: {higress: "mcpServer: {enable: true}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other, namespace: higress-system}
data: {x: "y"}
`))...)
	var b bytes.Buffer
	if err := Read(t.Context(), ClusterOptions{Kubeconfig: c.Kubeconfig}, &b); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for dec := json.NewDecoder(&b); dec.More(); {
		var o struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := dec.Decode(&o); err != nil {
			t.Fatal(err)
		}
		found[o.Kind+" "+o.Metadata.Name] = true
	}
	for _, want := range []string{"Ingress site", "Ingress mcp-server-github.internal", "McpBridge default", "ConfigMap higress-config", "WasmPlugin keyward-gate"} {
		if !found[want] {
			t.Errorf("%s is not read: %v", want, found)
		}
	}
	if found["ConfigMap other"] || found["ConfigMap kube-root-ca.crt"] {
		t.Errorf("read beside it: %v", found)
	}
	if err := Read(t.Context(), ClusterOptions{Kubeconfig: c.manager}, &b); err == nil {
		t.Error("the Manager's own rights are enough to read routes")
	}
}
