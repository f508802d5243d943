package kubernetes

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// fieldManager owns what is applied here.
const fieldManager = "keyward-workers"

// pageSize bounds one answer to a list, in objects.
const pageSize = 500

// objects are those of one type in one namespace. Without the generated clients,
// which would bring every type that Kubernetes has.
type objects[T any] struct{ api dynamic.ResourceInterface }

func (o objects[T]) get(ctx context.Context, name string) (*T, error) {
	u, err := o.api.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return typed[T](u)
}

// list returns all that a selector of labels selects.
func (o objects[T]) list(ctx context.Context, selector string) ([]*T, error) {
	var all []*T
	for next := ""; ; {
		l, err := o.api.List(ctx, metav1.ListOptions{LabelSelector: selector, Limit: pageSize, Continue: next})
		if err != nil {
			return nil, err
		}
		for i := range l.Items {
			v, err := typed[T](&l.Items[i])
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		if next = l.GetContinue(); next == "" {
			return all, nil
		}
	}
}

func (o objects[T]) create(ctx context.Context, v *T) (*T, error) {
	u, err := untyped(v)
	if err != nil {
		return nil, err
	}
	u, err = o.api.Create(ctx, u, metav1.CreateOptions{FieldManager: fieldManager, FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return nil, err
	}
	return typed[T](u)
}

// apply makes the object of a name what v says (server-side apply). What v no
// longer says is taken away.
func (o objects[T]) apply(ctx context.Context, name string, v *T) error {
	u, err := untyped(v)
	if err != nil {
		return err
	}
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	_, err = o.api.Apply(ctx, name, u, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}

func (o objects[T]) patch(ctx context.Context, name string, merge []byte) error {
	_, err := o.api.Patch(ctx, name, types.MergePatchType, merge, metav1.PatchOptions{FieldManager: fieldManager})
	return err
}

// remove deletes an object, unless it is another one by now. Nothing there is no
// error.
func (o objects[T]) remove(ctx context.Context, name string, uid types.UID) error {
	err := o.api.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func typed[T any](u *unstructured.Unstructured) (*T, error) {
	v := new(T)
	return v, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, v)
}

func untyped[T any](v *T) (*unstructured.Unstructured, error) {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(v)
	return &unstructured.Unstructured{Object: m}, err
}
