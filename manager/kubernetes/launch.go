package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"keyward/manager"
)

// goneWithin bounds the wait for a Pod's end: its grace, and what a busy node
// needs.
const (
	goneWithin = 90 * time.Second
	lookEvery  = 100 * time.Millisecond
)

// Launch implements [manager.Launcher]. The policy is there before the Pod, and
// the Pod of another run is gone before the new one's Secrets are written.
func (k *Kubernetes) Launch(ctx context.Context, l manager.Launch) (manager.Instance, error) {
	if l.Run == "" || !manager.ValidID(l.Worker) {
		return manager.Instance{}, fmt.Errorf("kubernetes: launch of %q: %w", l.Worker, manager.ErrInvalid)
	}
	if err := checkImage(l.Spec.Image); err != nil {
		return manager.Instance{}, err
	}
	pod, err := k.pod(ctx, l.Worker)
	if err == nil && pod.Annotations[annotationRun] == l.Run && alive(pod) {
		return k.Instance(ctx, l.Worker)
	}
	if err := k.launch(ctx, l); err != nil {
		return manager.Instance{}, fmt.Errorf("kubernetes: launch %q: %w", l.Worker, err)
	}
	return k.Instance(ctx, l.Worker)
}

func (k *Kubernetes) launch(ctx context.Context, l manager.Launch) error {
	if err := k.removePod(ctx, l.Worker); err != nil {
		return err
	}
	if err := k.policies.apply(ctx, k.policyName(), k.policy()); err != nil {
		return err
	}
	if err := k.writeEnv(ctx, l); err != nil {
		return err
	}
	if _, err := k.writeFiles(ctx, l); err != nil {
		return err
	}
	return k.createPod(ctx, l.Worker, l.Run, l.Spec)
}

func (k *Kubernetes) createPod(ctx context.Context, worker, run string, spec manager.WorkerSpec) error {
	_, err := k.pods.create(ctx, k.podOf(worker, run, spec))
	if apierrors.IsAlreadyExists(err) {
		return foreign(worker, "Pod")
	}
	return err
}

// alive reports whether a Pod runs, or is about to.
func alive(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// pod returns a Worker's Pod, if it is ours.
func (k *Kubernetes) pod(ctx context.Context, worker string) (*corev1.Pod, error) {
	pod, err := k.pods.get(ctx, k.name(worker))
	if apierrors.IsNotFound(err) || err == nil && !k.owns(pod.ObjectMeta, worker) {
		return nil, notFound(worker)
	}
	return pod, err
}

// Replace implements [manager.Launcher]. The node sees that the Pod changed, and
// so brings the new files at once and not with its next round.
func (k *Kubernetes) Replace(ctx context.Context, l manager.Launch) error {
	if _, _, err := k.launched(ctx, l.Worker); err != nil {
		return err
	}
	digest, err := k.writeFiles(ctx, l)
	if err != nil {
		return fmt.Errorf("kubernetes: files of %q: %w", l.Worker, err)
	}
	if _, err := k.pod(ctx, l.Worker); err != nil {
		return ignoreNotFound(err) // the next start has the files
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotationFiles: digest}}})
	if err != nil {
		return err
	}
	if err := k.pods.patch(ctx, k.name(l.Worker), patch); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("kubernetes: files of %q: %w", l.Worker, err)
	}
	return nil
}

// Instance implements [manager.Launcher].
func (k *Kubernetes) Instance(ctx context.Context, worker string) (manager.Instance, error) {
	pod, err := k.pod(ctx, worker)
	if err == nil {
		return instanceOf(worker, pod), nil
	}
	if !errors.Is(err, manager.ErrNotFound) {
		return manager.Instance{}, err
	}
	run, _, err := k.launched(ctx, worker)
	if err != nil {
		return manager.Instance{}, err
	}
	return manager.Instance{Worker: worker, Run: run, Phase: manager.PhaseStopped}, nil
}

// Instances implements [manager.Launcher]. A Worker of which only a Secret is
// left is there, too.
func (k *Kubernetes) Instances(ctx context.Context) ([]manager.Instance, error) {
	found := map[string]manager.Instance{}
	secrets, err := k.secrets.list(ctx, k.ours(""))
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	for _, s := range secrets {
		worker := s.Labels[labelWorker]
		i := found[worker]
		i.Worker, i.Phase = worker, manager.PhaseStopped
		if s.Name == k.envSecret(worker) {
			i.Run = s.Annotations[annotationRun]
		}
		found[worker] = i
	}
	pods, err := k.pods.list(ctx, k.ours(""))
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	for _, pod := range pods {
		worker := pod.Labels[labelWorker]
		found[worker] = instanceOf(worker, pod)
	}
	delete(found, "") // not a Worker's
	list := make([]manager.Instance, 0, len(found))
	for _, worker := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[worker])
	}
	return list, nil
}

// Stop implements [manager.Launcher]. A Pod can't be stopped, so it is removed;
// what it was made from is kept.
func (k *Kubernetes) Stop(ctx context.Context, worker string) error {
	if _, _, err := k.launched(ctx, worker); err != nil {
		return err
	}
	if err := k.removePod(ctx, worker); err != nil {
		return fmt.Errorf("kubernetes: stop %q: %w", worker, err)
	}
	return nil
}

// Start implements [manager.Launcher].
func (k *Kubernetes) Start(ctx context.Context, worker string) error {
	run, spec, err := k.launched(ctx, worker)
	if err != nil {
		return err
	}
	if pod, err := k.pod(ctx, worker); err == nil && alive(pod) {
		return nil
	}
	err = k.removePod(ctx, worker)
	if err == nil {
		err = k.policies.apply(ctx, k.policyName(), k.policy())
	}
	if err == nil {
		err = k.createPod(ctx, worker, run, spec)
	}
	if err != nil {
		return fmt.Errorf("kubernetes: start %q: %w", worker, err)
	}
	return nil
}

// Remove implements [manager.Launcher].
func (k *Kubernetes) Remove(ctx context.Context, worker string) error {
	if !manager.ValidID(worker) { // an empty one would select those of all Workers
		return fmt.Errorf("kubernetes: remove %q: %w", worker, manager.ErrInvalid)
	}
	if err := k.removePod(ctx, worker); err != nil {
		return fmt.Errorf("kubernetes: remove %q: %w", worker, err)
	}
	secrets, err := k.secrets.list(ctx, k.ours(worker))
	for _, s := range secrets {
		err = errors.Join(err, k.secrets.remove(ctx, s.Name, s.UID))
	}
	if err != nil {
		return fmt.Errorf("kubernetes: remove %q: %w", worker, err)
	}
	return nil
}

// removePod ends a Worker's Pod and waits until it is gone.
func (k *Kubernetes) removePod(ctx context.Context, worker string) error {
	pod, err := k.pod(ctx, worker)
	if err != nil {
		return ignoreNotFound(err)
	}
	if err := k.pods.remove(ctx, pod.Name, pod.UID); err != nil {
		return err
	}
	return k.awaitEnd(ctx, pod.Name, pod.UID)
}

func (k *Kubernetes) awaitEnd(ctx context.Context, name string, uid types.UID) error {
	ctx, cancel := context.WithTimeout(ctx, goneWithin)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		pod, err := k.pods.get(ctx, name)
		if apierrors.IsNotFound(err) || err == nil && pod.UID != uid {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("its Pod has not ended: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

func ignoreNotFound(err error) error {
	if errors.Is(err, manager.ErrNotFound) {
		return nil
	}
	return err
}

// Logs implements [manager.Launcher].
func (k *Kubernetes) Logs(ctx context.Context, worker string, lines int) ([]byte, error) {
	pod, err := k.pod(ctx, worker)
	if err != nil {
		if _, _, launched := k.launched(ctx, worker); launched == nil {
			return nil, nil // it is stopped, and its logs went with the Pod
		}
		return nil, err
	}
	lines = min(max(lines, 1), manager.MaxLogLines)
	r, err := k.logs.Get().Namespace(k.opt.Namespace).Resource("pods").Name(pod.Name).SubResource("log").
		Param("container", container).Param("tailLines", fmt.Sprint(lines)).Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("kubernetes: logs of %q: %w", worker, err)
	}
	defer r.Close()
	var out manager.LogTail
	if _, err := io.Copy(&out, io.LimitReader(r, 16*manager.MaxLogBytes)); err != nil {
		return nil, fmt.Errorf("kubernetes: logs of %q: %w", worker, err)
	}
	return out.Bytes(), nil
}
