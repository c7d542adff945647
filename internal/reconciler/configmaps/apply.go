/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package configmaps

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/util/retry"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/controller"
)

// Fetch returns the fingerprint of a ConfigMap, or nil.
func Fetch(lister corev1listers.ConfigMapLister, namespace, name string) (*corev1.ConfigMap, error) {
	configMap, err := lister.ConfigMaps(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return configMap, wrap("get", name, err)
}

// Apply writes changes, with events about an object, or without events if it is
// nil. It returns the errors by the condition that they make false.
func Apply(ctx context.Context, client kubernetes.Interface, about runtime.Object, changes []Change) map[apis.ConditionType]error {
	failures := make(map[apis.ConditionType]error)
	for _, change := range changes {
		updated, err := apply(ctx, client, change)
		if updated && change.UpdatedReason != "" && about != nil {
			controller.GetEventRecorder(ctx).Eventf(about, corev1.EventTypeNormal, change.UpdatedReason,
				"Updated ConfigMap %q: running agents read it within about two minutes", change.Desired.Name)
		}
		if err != nil {
			failures[change.Condition] = errors.Join(failures[change.Condition], err)
		}
	}
	return failures
}

// apply reports whether a ConfigMap that existed was updated. It reads the live
// one first: the cache may be behind, and has no values.
func apply(ctx context.Context, kube kubernetes.Interface, change Change) (updated bool, err error) {
	desired := change.Desired
	client := kube.CoreV1().ConfigMaps(desired.Namespace)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		// The informer doesn't see one that has lost our label.
		live, err := client.Get(ctx, desired.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) && len(desired.Data) == 0:
			return nil
		case apierrors.IsNotFound(err):
			_, err := client.Create(ctx, desired, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return apierrors.NewConflict(corev1.Resource("configmaps"), desired.Name, err)
			}
			return wrap("create", desired.Name, err)
		case err != nil:
			return wrap("get", desired.Name, err)
		}
		if err := refuseForeign(live, desired); err != nil {
			return err
		}
		data := make(map[string]string, len(desired.Data)+len(change.Kept))
		for _, key := range change.Kept {
			if value, found := live.Data[key]; found {
				data[key] = value
			}
		}
		maps.Copy(data, desired.Data)
		switch {
		case len(data) == 0:
			err := client.Delete(ctx, live.Name, *metav1.NewPreconditionDeleteOptions(string(live.UID)))
			if apierrors.IsNotFound(err) {
				return nil
			}
			return wrap("delete", desired.Name, err)
		case maps.Equal(live.Data, data) && len(live.BinaryData) == 0 && maps.Equal(ourLabels(live.Labels), desired.Labels):
			return nil
		}
		changed := live.DeepCopy()
		changed.Data, changed.BinaryData, changed.Labels = data, nil, desired.Labels
		_, err = client.Update(ctx, changed, metav1.UpdateOptions{})
		updated = err == nil
		return wrap("update", desired.Name, err)
	})
	return updated, err
}

func wrap(verb, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s ConfigMap %q: %w", verb, name, err)
}
