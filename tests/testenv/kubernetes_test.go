package testenv

import (
	"net/http"
	"strings"
	"testing"
)

func TestStartKubernetes(t *testing.T) {
	k := StartKubernetes(t)
	k.Apply(t, false, Manifests(t, []byte(`apiVersion: v1
kind: Namespace
metadata: {name: test}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: nobody, namespace: test}
---
apiVersion: extensions.higress.io/v1alpha1
kind: WasmPlugin
metadata: {name: a, namespace: test}
spec: {failStrategy: FAIL_CLOSE}
`))...)
	if file := k.ServiceAccount(t, "test", "nobody"); file == "" {
		t.Error("no kubeconfig")
	}
	path := "/apis/extensions.higress.io/v1alpha1/namespaces/test/wasmplugins?fieldValidation=Strict"
	for what, spec := range map[string]string{"an unknown member": `{"failstrategy":"FAIL_OPEN"}`, "a value that is none": `{"failStrategy":"FAIL_RELOAD"}`} {
		code, b := k.Request(t, http.MethodPost, path, "application/json",
			[]byte(`{"apiVersion":"extensions.higress.io/v1alpha1","kind":"WasmPlugin","metadata":{"name":"b"},"spec":`+spec+`}`))
		if code < 400 || code >= 500 || !strings.Contains(string(b), "spec") {
			t.Errorf("%s: %d: %s", what, code, b)
		}
	}
}
