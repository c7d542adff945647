/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/controller"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// reconcileConfigMap writes a ConfigMap that running agents read, and records
// an event of that reason where it changed. Labels are compared too, for the
// informer selects by them.
func (r *Reconciler) reconcileConfigMap(ctx context.Context, is *v1beta1.InferenceService, desired *corev1.ConfigMap, reason string) error {
	client := r.kube.CoreV1().ConfigMaps(is.Namespace)
	live, err := r.configMapLister.ConfigMaps(is.Namespace).Get(desired.Name)
	switch {
	case apierrors.IsNotFound(err):
		_, err := client.Create(ctx, desired, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return wrap("create", desired.Name, err)
		}
		// The informer doesn't see one that has lost our label.
		if live, err = client.Get(ctx, desired.Name, metav1.GetOptions{}); err != nil {
			return wrap("get", desired.Name, err)
		}
	case err != nil:
		return wrap("get", desired.Name, err)
	}
	switch {
	case !metav1.IsControlledBy(live, is):
		return fmt.Errorf("the ConfigMap %q is not owned by this InferenceService: delete it, or rename the InferenceService", desired.Name)
	case equality.Semantic.DeepEqual(live.Data, desired.Data) && equality.Semantic.DeepEqual(live.Labels, desired.Labels):
		return nil
	}
	updated := live.DeepCopy()
	updated.Data, updated.Labels = desired.Data, desired.Labels
	if _, err := client.Update(ctx, updated, metav1.UpdateOptions{}); err != nil {
		return wrap("update", desired.Name, err)
	}
	controller.GetEventRecorder(ctx).Eventf(is, corev1.EventTypeNormal, reason,
		"Updated ConfigMap %q: running agents pick it up within some two minutes", desired.Name)
	return nil
}

// configMapData gives what a ConfigMap of the InferenceService's has now.
func (r *Reconciler) configMapData(is *v1beta1.InferenceService, name string) (map[string]string, error) {
	live, err := r.configMapLister.ConfigMaps(is.Namespace).Get(name)
	if apierrors.IsNotFound(err) || (err == nil && !metav1.IsControlledBy(live, is)) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("get", name, err)
	}
	return live.Data, nil
}

// removeConfigMap removes a ConfigMap that no agent needs any more. Pods that
// mount it do so as optional, and go on with what they have.
func (r *Reconciler) removeConfigMap(ctx context.Context, is *v1beta1.InferenceService, name string) error {
	live, err := r.configMapLister.ConfigMaps(is.Namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return wrap("get", name, err)
	}
	if !metav1.IsControlledBy(live, is) {
		return nil
	}
	err = r.kube.CoreV1().ConfigMaps(is.Namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &live.UID}})
	if err != nil && !apierrors.IsNotFound(err) {
		return wrap("delete", name, err)
	}
	return nil
}

func wrap(verb, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s ConfigMap %q: %w", verb, name, err)
}
