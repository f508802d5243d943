package kubernetes_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"keyward/manager"
)

func image(digit string) string { return "registry.test/agent@sha256:" + strings.Repeat(digit, 64) }

func testFetch(t *testing.T, w *world) {
	k := w.backend(t, "one")
	for _, tt := range []struct {
		name, image  string
		fails, final bool
	}{
		{name: "one that comes", image: image("0")},
		{name: "one that comes, and can't be run", image: image("3")},
		{name: "one that no registry has", image: image("1"), fails: true, final: true},
		{name: "one whose registry is away", image: image("2"), fails: true},
		{name: "one without a digest", image: "registry.test/agent:latest", fails: true, final: true},
	} {
		err := k.Fetch(t.Context(), tt.image)
		if (err != nil) != tt.fails || errors.Is(err, manager.ErrInvalid) != tt.final || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := k.Fetch(t.Context(), image("4")); err != nil {
				t.Errorf("of several at once: %v", err)
			}
		})
	}
	all.Wait()

	got, ok := w.fetching.Load(image("0"))
	if !ok {
		t.Fatal("no Pod got it")
	}
	pod := got.(corev1.Pod)
	c := pod.Spec.Containers[0]
	if len(pod.Spec.Volumes)+len(c.Env)+len(c.EnvFrom)+len(c.VolumeMounts) > 0 || pod.Labels["keyward.dev/manager"] != "" || *pod.Spec.AutomountServiceAccountToken {
		b, _ := json.Marshal(pod) // for people
		t.Errorf("it holds something, or may reach something: %s", b)
	}
	var left corev1.PodList
	w.get(t, "pods?labelSelector=keyward.dev/fetch", &left)
	for _, pod := range left.Items {
		if pod.DeletionTimestamp == nil {
			t.Errorf("%s is left", pod.Name)
		}
	}
}
