/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"knative.dev/pkg/controller"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// reconcileConfigMap writes a ConfigMap of the InferenceService's that running
// agents read, and records an event of that reason where it changed. The keys
// that are kept have the values that they have, and without any data there is
// no ConfigMap.
func (r *Reconciler) reconcileConfigMap(ctx context.Context, is *v1beta1.InferenceService, desired *corev1.ConfigMap, kept []string, reason string) error {
	updated, err := r.writeConfigMap(ctx, desired, kept, func(live *corev1.ConfigMap) error {
		if !metav1.IsControlledBy(live, is) {
			return fmt.Errorf("the ConfigMap %q is not owned by this InferenceService: delete it, or rename the InferenceService", live.Name)
		}
		return nil
	})
	if updated {
		recordUpdated(ctx, is, desired.Name, reason)
	}
	return err
}

func recordUpdated(ctx context.Context, is *v1beta1.InferenceService, name, reason string) {
	controller.GetEventRecorder(ctx).Eventf(is, corev1.EventTypeNormal, reason,
		"Updated ConfigMap %q: running agents pick it up within some two minutes", name)
}

// writeConfigMap has the cluster have the desired ConfigMap, and reports
// whether one that was there changed. It looks at the live one before it
// writes: the cache may be behind, and has no values. It touches none that
// refuse finds to be somebody else's.
func (r *Reconciler) writeConfigMap(ctx context.Context, desired *corev1.ConfigMap, kept []string, refuse func(*corev1.ConfigMap) error) (updated bool, err error) {
	cached, err := r.configMapLister.ConfigMaps(desired.Namespace).Get(desired.Name)
	switch {
	case err == nil && refuse(cached) == nil && matches(cached, desired, kept) && len(cached.Data) > 0:
		return false, nil
	case apierrors.IsNotFound(err) && len(desired.Data) == 0:
		return false, nil
	case err != nil && !apierrors.IsNotFound(err):
		return false, wrap("get", desired.Name, err)
	}
	client := r.kube.CoreV1().ConfigMaps(desired.Namespace)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		// The informer doesn't see one that has lost our label.
		live, err := client.Get(ctx, desired.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			if len(desired.Data) == 0 {
				return nil
			}
			_, err := client.Create(ctx, desired, metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return apierrors.NewConflict(corev1.Resource("configmaps"), desired.Name, err)
			}
			return wrap("create", desired.Name, err)
		}
		if err != nil {
			return wrap("get", desired.Name, err)
		}
		if err := refuse(live); err != nil {
			return err
		}
		data := maps.Clone(desired.Data)
		for _, key := range kept {
			if value, found := live.Data[key]; found {
				if data == nil {
					data = make(map[string]string, len(kept))
				}
				data[key] = value
			}
		}
		if len(data) == 0 {
			return wrap("delete", desired.Name, r.deleteConfigMap(ctx, live))
		}
		if maps.Equal(live.Data, data) && len(live.BinaryData) == 0 && maps.Equal(ourLabels(live.Labels), desired.Labels) {
			return nil
		}
		changed := live.DeepCopy()
		changed.Data, changed.BinaryData, changed.Labels = data, nil, desired.Labels
		if _, err := client.Update(ctx, changed, metav1.UpdateOptions{}); err != nil {
			return wrap("update", desired.Name, err)
		}
		updated = true
		return nil
	})
	return updated, err
}

func (r *Reconciler) deleteConfigMap(ctx context.Context, live *corev1.ConfigMap) error {
	err := r.kube.CoreV1().ConfigMaps(live.Namespace).Delete(ctx, live.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &live.UID}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// removeConfigMaps removes what only agents read, once there are none. The
// change of the Knative Service's status by which the last of them stops serving
// leads here again.
func (r *Reconciler) removeConfigMaps(ctx context.Context, is *v1beta1.InferenceService, hasAgents bool) error {
	_, err := r.reconcileNamespaceTrust(ctx, is.Namespace)
	if hasAgents {
		return err
	}
	return errors.Join(err,
		r.removeConfigMap(ctx, is, is.TrustName(v1beta1.PredictorComponent)),
		r.removeConfigMap(ctx, is, is.MetadataName(v1beta1.PredictorComponent)))
}

// removeConfigMap removes a ConfigMap that no agent needs any more.
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
	return wrap("delete", name, r.deleteConfigMap(ctx, live))
}

func wrap(verb, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s ConfigMap %q: %w", verb, name, err)
}
