package kubernetes_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"keyward/manager"
	"keyward/manager/kubernetes"
	"keyward/manager/launchertest"
	"keyward/tests/testenv"
)

// namespace is that of Workers.
const namespace = "keyward-workers"

// A world is a real API server with the manifests that are shipped, and a kubelet
// that the test plays.
type world struct {
	*testenv.Kubernetes
	opt      kubernetes.Options // as the Manager's service account
	fetching sync.Map           // Pods that got an image, by that
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Kubernetes: testenv.StartKubernetes(t)}
	text, err := os.ReadFile("../../deploy/kubernetes/workers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// The suite plays several Managers, whose policies the Role has to name.
	text = bytes.Replace(text, []byte("resourceNames: [keyward-workers]\n  verbs: [create, patch]"),
		[]byte("resourceNames: [keyward-workers, one-workers, two-workers, cut-workers, names-workers]\n  verbs: [create, patch]"), 1)
	w.Apply(t, false, testenv.Manifests(t, []byte(`apiVersion: v1
kind: Namespace
metadata: {name: keyward}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: keyward-manager, namespace: keyward}
`))...)
	w.Apply(t, false, testenv.Manifests(t, text)...)
	w.quota(t, "1000")
	w.opt = kubernetes.Options{
		Kubeconfig: w.ServiceAccount(t, "keyward", "keyward-manager"),
		Namespace:  namespace,
		Gateway:    "http://gateway:8080",
		GatewayIP:  "10.0.0.7",
		To:         kubernetes.Gateway{Namespace: "higress-system", Labels: map[string]string{"app": "higress-gateway"}, Port: 80},
	}
	startKubelet(t, w.Kubernetes, func(pod corev1.Pod) {
		if pod.Labels["keyward.dev/fetch"] != "" {
			w.fetching.Store(pod.Spec.Containers[0].Image, pod)
		}
	})
	return w
}

// quota does what the controller of quotas would: without it none is counted, and
// admission refuses everything.
func (w *world) quota(t *testing.T, pods string) {
	t.Helper()
	hard := `{"pods":"` + pods + `","requests.cpu":"5k","limits.cpu":"5k","requests.memory":"9Ti","limits.memory":"9Ti",` +
		`"requests.ephemeral-storage":"9Ti","limits.ephemeral-storage":"9Ti","persistentvolumeclaims":"0","services":"0","count/secrets":"9k"}`
	used := `{"pods":"0","requests.cpu":"0","limits.cpu":"0","requests.memory":"0","limits.memory":"0",` +
		`"requests.ephemeral-storage":"0","limits.ephemeral-storage":"0","persistentvolumeclaims":"0","services":"0","count/secrets":"0"}`
	path := "/api/v1/namespaces/" + namespace + "/resourcequotas/workers/status"
	code, b := w.Request(t, http.MethodPatch, path, "application/merge-patch+json", []byte(`{"status":{"hard":`+hard+`,"used":`+used+`}}`))
	if code != http.StatusOK {
		t.Fatalf("quota: %d: %s", code, b)
	}
}

func (w *world) backend(t *testing.T, name string) *kubernetes.Kubernetes {
	t.Helper()
	opt := w.opt
	opt.Name = name
	k, err := kubernetes.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *world) get(t *testing.T, path string, into any) {
	t.Helper()
	code, b := w.Request(t, http.MethodGet, "/api/v1/namespaces/"+namespace+"/"+path, "", nil)
	if code != http.StatusOK {
		t.Fatalf("GET %s: %d: %s", path, code, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

var waits = manager.WorkerSpec{Image: "registry.test/probe@sha256:" + strings.Repeat("0", 64), Command: []string{"wait"}}

func TestKubernetes(t *testing.T) {
	w := newWorld(t)
	if err := w.backend(t, "one").Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	launchertest.Run(t, launchertest.Backend{
		New:     func(t *testing.T, name string) manager.Launcher { return w.backend(t, name) },
		Cut:     w.cut,
		Changes: 6,
		Waits:   waits,
		Talks:   waits,
		Files:   w.file,
		Left:    w.left,
	})
	t.Run("a Pod is hardened", func(t *testing.T) { testPod(t, w) })
	t.Run("the namespace refuses less", func(t *testing.T) { testAdmission(t, w) })
	t.Run("a Worker reaches the gateway alone", func(t *testing.T) { testPolicy(t, w) })
	t.Run("what is another's is not taken over", func(t *testing.T) { testForeign(t, w) })
	t.Run("an image is got before a Pod is touched", func(t *testing.T) { testFetch(t, w) })
	t.Run("phases are those of the Pod", func(t *testing.T) { testPhases(t, w) })
	t.Run("a quota refuses, and the next launch goes on", func(t *testing.T) { testQuota(t, w) })
	t.Run("the Role is enough for nothing else", func(t *testing.T) { testRole(t, w) })
}

// cut returns a launcher whose connection is gone after some changes.
func (w *world) cut(t *testing.T, name string, after int) manager.Launcher {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.opt.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = transport
	srv := httptest.NewServer(launchertest.CutAfter(after, proxy))
	t.Cleanup(srv.Close)
	opt := w.opt
	opt.Name, opt.Kubeconfig = name, filepath.Join(t.TempDir(), "cut")
	kubeconfig := fmt.Appendf(nil, "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a}}]\nclusters: [{name: a, cluster: {server: %q}}]\n", srv.URL)
	if err := os.WriteFile(opt.Kubeconfig, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := kubernetes.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// podOf returns a Worker's Pod.
func (w *world) podOf(t *testing.T, name, worker string) corev1.Pod {
	t.Helper()
	var list corev1.PodList
	w.get(t, "pods?labelSelector=keyward.dev/manager="+name+",keyward.dev/worker="+worker, &list)
	if len(list.Items) != 1 {
		t.Fatalf("%q has %d Pods", worker, len(list.Items))
	}
	return list.Items[0]
}

// file is what the kubelet would show a Worker of its Secret.
func (w *world) file(t *testing.T, name, worker, file string) string {
	t.Helper()
	pod := w.podOf(t, name, worker)
	for _, v := range pod.Spec.Volumes {
		if v.Secret == nil {
			continue
		}
		var s corev1.Secret
		w.get(t, "secrets/"+v.Secret.SecretName, &s)
		return string(s.Data[file])
	}
	t.Fatalf("%q has no files", worker)
	return ""
}

func (w *world) left(t *testing.T, name string) string {
	t.Helper()
	var left []string
	for _, what := range []string{"pods", "secrets"} {
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		w.get(t, what+"?labelSelector=keyward.dev/manager="+name, &list)
		for _, i := range list.Items {
			left = append(left, what+"/"+i.Metadata.Name)
		}
	}
	return strings.Join(left, " ")
}

func testPod(t *testing.T, w *world) {
	k := w.backend(t, "one")
	l := manager.Launch{
		Worker: "hard", Run: "r1", Spec: waits,
		Env: map[string]string{"KEYWARD_TOKEN": "kwt_canary"}, Files: map[string][]byte{"token": []byte("kwt_canary")},
	}
	l.Spec.Writable = map[string]int64{"/tmp": 8, "/work": 16}
	l.Spec.Limits = manager.WorkerLimits{MemoryMB: 256, CPUMilli: 500}
	if _, err := k.Launch(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	defer remove(t, k, "hard")
	pod := w.podOf(t, "one", "hard")
	s, c := pod.Spec, pod.Spec.Containers[0]
	sc, psc := c.SecurityContext, s.SecurityContext
	for what, ok := range map[string]bool{
		"no token of the cluster":     s.AutomountServiceAccountToken != nil && !*s.AutomountServiceAccountToken && s.ServiceAccountName == "keyward-worker",
		"no names of services":        s.EnableServiceLinks != nil && !*s.EnableServiceLinks,
		"no name server":              s.DNSPolicy == corev1.DNSNone && slices.Equal(s.DNSConfig.Nameservers, []string{"127.0.0.1"}),
		"the gateway's address":       len(s.HostAliases) == 1 && s.HostAliases[0].IP == "10.0.0.7" && slices.Equal(s.HostAliases[0].Hostnames, []string{"gateway"}),
		"no namespace of the node":    !s.HostNetwork && !s.HostPID && !s.HostIPC && s.ShareProcessNamespace == nil,
		"one container":               len(s.Containers) == 1 && len(s.InitContainers) == 0,
		"no capability":               slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(sc.Capabilities.Add) == 0 && !*sc.Privileged,
		"no new privileges":           !*sc.AllowPrivilegeEscalation,
		"a root it can't write":       *sc.ReadOnlyRootFilesystem,
		"a filter of calls":           psc.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
		"no user of the system":       *psc.RunAsNonRoot && *psc.RunAsUser == 65532 && *psc.RunAsGroup == 65532,
		"no groups of the image":      psc.SupplementalGroupsPolicy != nil && *psc.SupplementalGroupsPolicy == corev1.SupplementalGroupsPolicyStrict,
		"a limit of memory":           c.Resources.Limits.Memory().Value() == 256<<20 && c.Resources.Requests.Memory().Value() == 256<<20,
		"a limit of processor":        c.Resources.Limits.Cpu().MilliValue() == 500,
		"a limit of logs":             c.Resources.Limits.StorageEphemeral().Value() == 64<<20,
		"an image by digest":          strings.Contains(c.Image, "@sha256:"),
		"no port":                     len(c.Ports) == 0,
		"its environment by a Secret": len(c.Env) == 0 && len(c.EnvFrom) == 1 && c.EnvFrom[0].SecretRef != nil,
		"bounded folders":             bounded(s.Volumes),
		"its files to read alone":     c.VolumeMounts[0].MountPath == manager.WorkerFiles && c.VolumeMounts[0].ReadOnly,
	} {
		if !ok {
			t.Errorf("it lacks %s: %+v", what, s)
		}
	}
	if b, err := json.Marshal(pod); err != nil || strings.Contains(string(b), "canary") {
		t.Errorf("the token is in the Pod, or %v", err)
	}
	var env corev1.Secret
	w.get(t, "secrets/"+c.EnvFrom[0].SecretRef.Name, &env)
	if b, err := json.Marshal(env.ObjectMeta); err != nil || string(env.Data["KEYWARD_TOKEN"]) != "kwt_canary" ||
		strings.Contains(string(b), "canary") || strings.Contains(string(b), base64.StdEncoding.EncodeToString([]byte("kwt_canary"))) {
		t.Errorf("the Secret lacks the token, or it is in its metadata: %v", err)
	}
}

func bounded(volumes []corev1.Volume) bool {
	memory, secrets := 0, 0
	for _, v := range volumes {
		switch {
		case v.EmptyDir != nil && v.EmptyDir.Medium == corev1.StorageMediumMemory && v.EmptyDir.SizeLimit.Value() > 0:
			memory++
		case v.Secret != nil && *v.Secret.DefaultMode == 0o440:
			secrets++
		default:
			return false
		}
	}
	return memory == 3 && secrets == 1 // /tmp, /work and /dev/shm
}

func remove(t *testing.T, k *kubernetes.Kubernetes, worker string) {
	if err := k.Remove(t.Context(), worker); err != nil {
		t.Error(err)
	}
}

// testAdmission shows that the namespace does refuse: else a Pod that passes
// would say nothing.
func testAdmission(t *testing.T, w *world) {
	for name, spec := range map[string]string{
		"the node's network":   `"hostNetwork":true`,
		"no security context":  `"hostname":"x"`,
		"a folder of the node": `"volumes":[{"name":"a","hostPath":{"path":"/"}}]`,
	} {
		pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"bad"},"spec":{` + spec + `,"serviceAccountName":"keyward-worker","containers":[{"name":"a","image":"a"}]}}`
		code, b := w.Request(t, http.MethodPost, "/api/v1/namespaces/"+namespace+"/pods?dryRun=All", "application/json", []byte(pod))
		if code != http.StatusForbidden || !strings.Contains(string(b), "PodSecurity") {
			t.Errorf("%s: %d: %s", name, code, b)
		}
	}
	opt := w.opt
	opt.Kubeconfig, opt.Namespace = w.Kubeconfig, "default"
	k, err := kubernetes.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "want restricted") {
		t.Errorf("a namespace without a level is ready: %v", err)
	}
}

func testPolicy(t *testing.T, w *world) {
	k := w.backend(t, "one")
	if _, err := k.Launch(t.Context(), manager.Launch{Worker: "p", Run: "r1", Spec: waits}); err != nil {
		t.Fatal(err)
	}
	defer remove(t, k, "p")
	code, b := w.Request(t, http.MethodGet, "/apis/networking.k8s.io/v1/namespaces/"+namespace+"/networkpolicies/one-workers", "", nil)
	var p struct{ Spec json.RawMessage }
	if err := json.Unmarshal(b, &p); code != http.StatusOK || err != nil {
		t.Fatalf("%d, %v: %s", code, err, b)
	}
	want := `{"podSelector":{"matchLabels":{"keyward.dev/manager":"one"}},"egress":[{"ports":[{"protocol":"TCP","port":80}],"to":[{` +
		`"podSelector":{"matchLabels":{"app":"higress-gateway"}},"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"higress-system"}}}]}],` +
		`"policyTypes":["Ingress","Egress"]}`
	var got, wanted any
	if err := errors.Join(json.Unmarshal(p.Spec, &got), json.Unmarshal([]byte(want), &wanted)); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("policy is\n%s, want\n%s", p.Spec, want)
	}
}

func testForeign(t *testing.T, w *world) {
	k := w.backend(t, "one")
	w.Apply(t, false, testenv.Manifests(t, []byte(`apiVersion: v1
kind: Secret
metadata: {name: one-worker-taken.env, namespace: keyward-workers}
stringData: {mine: "yes"}
`))...)
	_, err := k.Launch(t.Context(), manager.Launch{Worker: "taken", Run: "r1", Spec: waits})
	if !errors.Is(err, manager.ErrState) {
		t.Errorf("launched over another's Secret: %v", err)
	}
	if err := k.Remove(t.Context(), "taken"); err != nil {
		t.Error(err)
	}
	var s corev1.Secret
	w.get(t, "secrets/one-worker-taken.env", &s)
	if string(s.Data["mine"]) != "yes" || len(s.Labels) != 0 {
		t.Errorf("it is %+v", s)
	}
}

func testQuota(t *testing.T, w *world) {
	k := w.backend(t, "one")
	w.quota(t, "0")
	l := manager.Launch{Worker: "much", Run: "r1", Spec: waits}
	if _, err := k.Launch(t.Context(), l); err == nil || !strings.Contains(err.Error(), "exceeded quota") {
		t.Errorf("launched: %v", err)
	}
	w.quota(t, "1000")
	if i, err := k.Launch(t.Context(), l); err != nil || i.Run != "r1" {
		t.Errorf("launched: %+v, %v", i, err)
	}
	remove(t, k, "much")
}

// testRole tries with the Manager's rights what it must not be able to do.
func testRole(t *testing.T, w *world) {
	config, err := clientcmd.BuildConfigFromFlags("", w.opt.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	ns := "/api/v1/namespaces/" + namespace
	for _, try := range []string{
		"POST " + ns + "/pods/x/exec", "POST " + ns + "/pods/x/attach", "GET " + ns + "/pods/x/portforward",
		"PATCH " + ns + "/pods/x/ephemeralcontainers", "PATCH " + ns + "/pods/x/status", "DELETE " + ns + "/pods",
		"DELETE " + ns + "/secrets", "POST " + ns + "/serviceaccounts/keyward-worker/token", "GET " + ns + "/serviceaccounts",
		"PATCH " + ns, "DELETE " + ns, "GET " + ns + "/resourcequotas", "PATCH " + ns + "/resourcequotas/workers",
		"PATCH /apis/networking.k8s.io/v1/namespaces/" + namespace + "/networkpolicies/nothing",
		"DELETE /apis/networking.k8s.io/v1/namespaces/" + namespace + "/networkpolicies/keyward-workers",
		"PATCH /apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/roles/keyward-workers",
		"POST /apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/rolebindings",
		"GET /api/v1/namespaces/keyward/secrets", "POST /api/v1/namespaces/keyward/pods", "GET /api/v1/namespaces/kube-system/secrets",
		"GET /api/v1/secrets", "GET /api/v1/nodes", "GET /api/v1/namespaces", "POST /api/v1/namespaces",
	} {
		method, path, _ := strings.Cut(try, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, w.URL+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			req.Header.Set("Content-Type", "application/merge-patch+json")
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", try, res.Status)
		}
	}
}
