package kubernetes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"keyward/manager"
	"keyward/tests/testenv"
)

// A kubelet plays scheduler and node: it binds Pods, says that they run, and lets
// those go that are to end. The API server asks it for logs.
type kubelet struct {
	*testenv.Kubernetes
	seen func(corev1.Pod) // is told of Pods when they are bound
}

func startKubelet(t *testing.T, api *testenv.Kubernetes, seen func(corev1.Pod)) {
	t.Helper()
	k := kubelet{api, seen}
	logs := httptest.NewTLSServer(http.HandlerFunc(serveLogs))
	t.Cleanup(logs.Close)
	_, port, err := net.SplitHostPort(logs.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	node := `{"apiVersion":"v1","kind":"Node","metadata":{"name":"node"},"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],` +
		`"daemonEndpoints":{"kubeletEndpoint":{"Port":` + port + `}}}}`
	if code, b := api.Request(t, http.MethodPost, "/api/v1/nodes", "application/json", []byte(node)); code != http.StatusCreated {
		t.Fatalf("node: %d: %s", code, b)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(20 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			if err := k.look(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("kubelet: %v", err)
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

// serveLogs answers what the API server asks a kubelet for.
func serveLogs(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/containerLogs/"+namespace+"/") {
		http.NotFound(w, r)
		return
	}
	lines, _ := strconv.Atoi(r.URL.Query().Get("tailLines"))
	for i := range min(lines, 20) {
		fmt.Fprintln(w, "line", i)
	}
}

// states are what the kubelet reports of some Workers, by id. The others run.
var states = map[string]string{
	"pulls":   `{"phase":"Pending","containerStatuses":[{"name":"worker","image":"i","imageID":"","ready":false,"restartCount":0,"state":{"waiting":{"reason":"ImagePullBackOff","message":"canary"}}}]}`,
	"ended":   `{"phase":"Succeeded","containerStatuses":[{"name":"worker","image":"i","imageID":"","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}`,
	"failed":  `{"phase":"Failed","containerStatuses":[{"name":"worker","image":"i","imageID":"","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]}`,
	"evicted": `{"phase":"Failed","reason":"Evicted"}`,
	"crashes": `{"phase":"Running","containerStatuses":[{"name":"worker","image":"i","imageID":"","ready":false,"restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":3,"reason":"Error"}}}]}`,
}

// look does what is to do for each Pod. What fails, since something else changed
// the Pod at the same time, the next look does.
func (k kubelet) look(ctx context.Context) error {
	path := "/api/v1/namespaces/" + namespace + "/pods"
	_, b, err := k.Do(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	var list corev1.PodList
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	for _, pod := range list.Items {
		one := path + "/" + pod.Name
		switch {
		case pod.DeletionTimestamp != nil:
			_, _, err = k.Do(ctx, http.MethodDelete, one+"?gracePeriodSeconds=0", "", nil)
		case pod.Spec.NodeName == "":
			k.seen(pod)
			binding := `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"` + pod.Name + `"},"target":{"apiVersion":"v1","kind":"Node","name":"node"}}`
			_, _, err = k.Do(ctx, http.MethodPost, one+"/binding", "application/json", []byte(binding))
		case pod.Status.Phase == corev1.PodPending && len(pod.Status.ContainerStatuses) == 0:
			_, _, err = k.Do(ctx, http.MethodPatch, one+"/status", "application/merge-patch+json", []byte(`{"status":`+statusOf(pod)+`}`))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// images are what the kubelet reports of some images, by the digit that their
// digest is made of. It gets the others, and finds no program in them.
var images = map[string]string{
	"1": `{"waiting":{"reason":"ErrImagePull","message":"rpc error: code = NotFound desc = canary: not found"}}`,
	"2": `{"waiting":{"reason":"ImagePullBackOff","message":"canary: dial tcp: i/o timeout"}}`,
	"3": `{"waiting":{"reason":"RunContainerError","message":"canary"}}`,
}

func statusOf(pod corev1.Pod) string {
	if pod.Labels["keyward.dev/fetch"] != "" {
		image := pod.Spec.Containers[0].Image
		state, ok := images[image[len(image)-1:]]
		if !ok {
			state = `{"terminated":{"exitCode":128,"reason":"StartError"}}`
		}
		return `{"phase":"Pending","containerStatuses":[{"name":"worker","image":"i","imageID":"","ready":false,"restartCount":0,"state":` + state + `}]}`
	}
	if status, ok := states[pod.Labels["keyward.dev/worker"]]; ok {
		return status
	}
	return `{"phase":"Running","containerStatuses":[{"name":"worker","image":"i","imageID":"","ready":true,"started":true,"restartCount":0,` +
		`"state":{"running":{"startedAt":"` + time.Now().UTC().Format(time.RFC3339) + `"}}}]}`
}

func testPhases(t *testing.T, w *world) {
	k := w.backend(t, "one")
	for worker, want := range map[string]manager.Instance{
		"pulls":   {Phase: manager.PhaseStarting, Detail: "ImagePullBackOff"},
		"ended":   {Phase: manager.PhaseStopped, Detail: "exit status 0"},
		"failed":  {Phase: manager.PhaseFailed, Detail: "exit status 137, out of memory"},
		"evicted": {Phase: manager.PhaseFailed, Detail: "Evicted"},
		"crashes": {Phase: manager.PhaseStarting, Detail: "CrashLoopBackOff, exit status 3"},
	} {
		if _, err := k.Launch(t.Context(), manager.Launch{Worker: worker, Run: "r1", Spec: waits}); err != nil {
			t.Fatal(err)
		}
		want.Worker, want.Run = worker, "r1"
		got, err := k.Instance(t.Context(), worker)
		for err == nil && got != want && t.Context().Err() == nil && got.Detail == "" {
			got, err = k.Instance(t.Context(), worker)
		}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", worker, got, err, want)
		}
		// One that ended is launched anew, also for the same run.
		before := w.podOf(t, "one", worker).UID
		if _, err := k.Launch(t.Context(), manager.Launch{Worker: worker, Run: "r1", Spec: waits}); err != nil {
			t.Fatal(err)
		}
		if again := w.podOf(t, "one", worker).UID != before; again != (want.Phase != manager.PhaseStarting) {
			t.Errorf("%s: launched anew: %t", worker, again)
		}
		remove(t, k, worker)
	}
}
