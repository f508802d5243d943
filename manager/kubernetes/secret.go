package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"keyward/manager"
)

// writeEnv keeps a Worker's environment, and what its Pod is made from.
func (k *Kubernetes) writeEnv(ctx context.Context, l manager.Launch) error {
	spec, err := json.Marshal(l.Spec)
	if err != nil {
		return err
	}
	data := make(map[string][]byte, len(l.Env))
	for name, value := range l.Env {
		data[name] = []byte(value)
	}
	return k.writeSecret(ctx, l.Worker, k.envSecret(l.Worker), data, map[string]string{annotationRun: l.Run, annotationSpec: string(spec)})
}

// writeFiles keeps a Worker's files, and returns their digest.
func (k *Kubernetes) writeFiles(ctx context.Context, l manager.Launch) (digest string, err error) {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(l.Files)) {
		fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(l.Files[name]))
	}
	digest = hex.EncodeToString(h.Sum(nil)[:8]) // 64 bits say nothing about a token of 256
	return digest, k.writeSecret(ctx, l.Worker, k.filesSecret(l.Worker), l.Files, map[string]string{annotationFiles: digest})
}

// writeSecret makes a Secret hold data and nothing else, unless it is somebody
// else's.
func (k *Kubernetes) writeSecret(ctx context.Context, worker, name string, data map[string][]byte, annotations map[string]string) error {
	s, err := k.secrets.get(ctx, name)
	switch {
	case err == nil && !k.owns(s.ObjectMeta, worker):
		return foreign(worker, "Secret")
	case err != nil && !apierrors.IsNotFound(err):
		return err
	}
	return k.secrets.apply(ctx, name, &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: k.opt.Namespace, Labels: k.labels(worker), Annotations: annotations},
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	})
}

// launched returns what was last launched of a Worker, from its Secret.
func (k *Kubernetes) launched(ctx context.Context, worker string) (run string, spec manager.WorkerSpec, err error) {
	s, err := k.secrets.get(ctx, k.envSecret(worker))
	if apierrors.IsNotFound(err) || err == nil && !k.owns(s.ObjectMeta, worker) {
		return "", spec, notFound(worker)
	}
	if err != nil {
		return "", spec, err
	}
	if err := json.Unmarshal([]byte(s.Annotations[annotationSpec]), &spec); err != nil {
		return "", spec, fmt.Errorf("kubernetes: what was launched of %q can't be read: %w", worker, err)
	}
	return s.Annotations[annotationRun], spec, nil
}

func (k *Kubernetes) owns(m metav1.ObjectMeta, worker string) bool {
	return m.Labels[labelManager] == k.opt.Name && m.Labels[labelWorker] == worker
}

func foreign(worker, kind string) error {
	return &manager.Error{Kind: manager.KindWorker, ID: worker, Err: manager.ErrState, Why: "a " + kind + " of its name is not its own"}
}
