package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"keyward/manager"
)

// labelFetch is on Pods that get an image; its value is the Manager's name. They
// have no other label of ours: the network policy of Workers is not theirs.
const labelFetch = "keyward.dev/fetch"

// fetchWithin bounds how long a node may take to get an image. What a Manager that
// was killed has left is removed after twice as long.
const fetchWithin = 8 * time.Minute

// nothing is no program of any image, so that none of it is run.
const nothing = "/keyward/there/is/no/such/program"

// Fetch implements [manager.Launcher]. Only a node can tell whether a registry has
// an image. So one gets it, while Workers run on, for a Pod that holds nothing, may
// reach nobody, and runs nothing of it.
func (k *Kubernetes) Fetch(ctx context.Context, image string) error {
	if err := checkImage(image); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	want := k.fetchPod(image)
	if err := k.fetch(ctx, want); err != nil {
		return fmt.Errorf("kubernetes: image %q: %w", image, err)
	}
	return nil
}

// checkImage checks what can be checked without a node.
func checkImage(image string) error {
	if !byDigest(image) {
		return &manager.FieldError{Field: "image", Why: "must be NAME@sha256:...: a cluster's nodes get it from a registry"}
	}
	return nil
}

// fetchPod is the Pod that gets an image: one of a Worker, less all that it holds.
func (k *Kubernetes) fetchPod(image string) *corev1.Pod {
	pod := k.podOf("", "", manager.WorkerSpec{Image: image, Limits: manager.WorkerLimits{MemoryMB: 16, CPUMilli: 10}})
	sum, deadline, none := sha256.Sum256([]byte(image)), int64(2*fetchWithin/time.Second), int64(0)
	pod.Name = k.opt.Name + "-image-" + hex.EncodeToString(sum[:8])
	pod.Labels, pod.Annotations = map[string]string{"app.kubernetes.io/managed-by": "keyward", labelFetch: k.opt.Name}, nil
	pod.Spec.RestartPolicy, pod.Spec.Volumes, pod.Spec.HostAliases = corev1.RestartPolicyNever, nil, nil
	pod.Spec.ActiveDeadlineSeconds, pod.Spec.TerminationGracePeriodSeconds = &deadline, &none
	c := &pod.Spec.Containers[0]
	c.Command, c.Args, c.EnvFrom, c.VolumeMounts = []string{nothing}, nil, nil, nil
	return pod
}

// fetch has a Pod there until its image has come, or can't.
func (k *Kubernetes) fetch(ctx context.Context, want *corev1.Pod) error {
	if err := k.sweepFetches(ctx); err != nil {
		return err
	}
	defer k.endFetch(ctx, want.Name)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		pod, err := k.pods.get(ctx, want.Name)
		if apierrors.IsNotFound(err) {
			if pod, err = k.pods.create(ctx, want); apierrors.IsAlreadyExists(err) { // another Worker's update
				pod, err = k.pods.get(ctx, want.Name)
			}
		}
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			return err
		case err == nil && pod.Labels[labelFetch] != k.opt.Name:
			return foreign("", "Pod")
		case err == nil && pod.DeletionTimestamp == nil:
			if there, err := fetched(pod); there || err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no node has got it: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// fetched reports whether a node has got a Pod's image. What a registry said is not
// passed on. An error that is no [manager.ErrInvalid] may pass.
func fetched(pod *corev1.Pod) (bool, error) {
	for _, c := range pod.Status.ContainerStatuses {
		w := c.State.Waiting
		switch {
		case c.Name != container:
		case c.ImageID != "" || c.State.Running != nil || c.State.Terminated != nil:
			return true, nil
		case w == nil:
		case w.Reason == "InvalidImageName", isPull(w.Reason) && isMissing(w.Message):
			return false, &manager.FieldError{Field: "image", Why: "no registry has it, or gives it to this cluster (" + w.Reason + ")"}
		case isPull(w.Reason):
			return false, fmt.Errorf("a node can't get it now (%s)", w.Reason)
		case strings.HasSuffix(w.Reason, "Error") || w.Reason == "CrashLoopBackOff": // nothing to run, as wanted
			return true, nil
		}
	}
	if !alive(pod) {
		return false, fmt.Errorf("its Pod has ended (%.100s)", pod.Status.Reason)
	}
	return false, nil
}

func isPull(reason string) bool {
	switch reason {
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError", "ErrImageNeverPull", "SignatureValidationFailed":
		return true
	default:
		return false
	}
}

// isMissing reports whether a runtime's message says that trying again is no use.
func isMissing(message string) bool {
	message = strings.ToLower(message)
	for _, said := range []string{"not found", "manifest unknown", "denied", "unauthorized"} {
		if strings.Contains(message, said) {
			return true
		}
	}
	return false
}

// endFetch removes a Pod that got an image, also when ctx is done.
func (k *Kubernetes) endFetch(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	pod, err := k.pods.get(ctx, name)
	if err == nil && pod.Labels[labelFetch] == k.opt.Name {
		_ = k.pods.remove(ctx, name, pod.UID) // else it ends by itself, and the next sweep takes it
	}
}

// sweepFetches removes what Managers that were killed have left.
func (k *Kubernetes) sweepFetches(ctx context.Context) error {
	pods, err := k.pods.list(ctx, labelFetch+"="+k.opt.Name)
	for _, pod := range pods {
		if err == nil && time.Since(pod.CreationTimestamp.Time) > 2*fetchWithin {
			err = k.pods.remove(ctx, pod.Name, pod.UID)
		}
	}
	return err
}
