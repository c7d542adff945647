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
	"knative.dev/pkg/apis"
	"knative.dev/pkg/controller"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// apply writes the changes, and sets the status to what came of them.
func (r *Reconciler) apply(ctx context.Context, is *v1beta1.InferenceService, live *servingv1.Service, changes Changes) error {
	if changes.Err != nil {
		is.Status = changes.Status
		return changes.Err
	}
	failures := r.applyConfigMaps(ctx, is, changes.ConfigMaps)
	service, err := r.applyService(ctx, is, live, changes.Service)
	if err != nil {
		is.Status = changes.StatusWithoutService
		if !apierrors.IsConflict(err) {
			is.Status.MarkServiceRefused(explained(ctx, is, err))
		}
		verb := "update"
		if live == nil {
			verb = "create"
		}
		err = fmt.Errorf("%s Knative Service %q: %w", verb, changes.Service.Name, err)
	} else {
		is.Status = changes.Status
		is.Status.PropagateService(v1beta1.PredictorComponent, service)
	}
	if failure := failures[v1beta1.TrustReady]; failure != nil {
		is.Status.MarkTrustNotWritten(failure)
	}
	if failure := failures[v1beta1.MetadataReady]; failure != nil {
		is.Status.MarkMetadataNotWritten(failure)
	}
	err = errors.Join(err, failures[v1beta1.MetadataReady], failures[v1beta1.TrustReady], failures[""])
	if err == nil && changes.RetryAfter > 0 {
		return controller.NewRequeueAfter(changes.RetryAfter)
	}
	return err
}

// applyService creates or updates the Knative Service, and gives the one that
// there is then.
func (r *Reconciler) applyService(ctx context.Context, is *v1beta1.InferenceService, live, desired *servingv1.Service) (*servingv1.Service, error) {
	if desired == nil {
		return live, nil
	}
	client := r.serving.ServingV1().Services(desired.Namespace)
	recorder := controller.GetEventRecorder(ctx)
	if live == nil {
		created, err := client.Create(ctx, desired, metav1.CreateOptions{})
		if err == nil {
			recorder.Eventf(is, corev1.EventTypeNormal, "Created", "Created Knative Service %q", desired.Name)
		}
		return created, err
	}
	updated, err := client.Update(ctx, desired, metav1.UpdateOptions{})
	if err == nil && updated.ResourceVersion != live.ResourceVersion {
		recorder.Eventf(is, corev1.EventTypeNormal, "Updated", "Updated Knative Service %q", desired.Name)
	}
	return updated, err
}

// explained adds to the refusal of a Knative Service what admission would say of
// its InferenceService now: it names fields that the owner has, and remedies.
// Serving's configuration may have changed since admission, or no webhook saw the
// object.
func explained(ctx context.Context, is *v1beta1.InferenceService, refusal error) error {
	if violations := knativeservice.Validate(ctx, is).Filter(apis.ErrorLevel); violations != nil {
		return fmt.Errorf("%w; %w", refusal, violations)
	}
	return refusal
}

// applyConfigMaps returns the errors by the condition that they make false.
func (r *Reconciler) applyConfigMaps(ctx context.Context, is *v1beta1.InferenceService, changes []ConfigMapChange) map[apis.ConditionType]error {
	failures := make(map[apis.ConditionType]error)
	for _, change := range changes {
		updated, err := r.applyConfigMap(ctx, change)
		if updated && change.UpdatedReason != "" {
			controller.GetEventRecorder(ctx).Eventf(is, corev1.EventTypeNormal, change.UpdatedReason,
				"Updated ConfigMap %q: running agents read it within about two minutes", change.Desired.Name)
		}
		if err != nil {
			failures[change.Condition] = errors.Join(failures[change.Condition], err)
		}
	}
	return failures
}

// applyConfigMap reports whether a ConfigMap that existed was updated. It reads
// the live one first: the cache may be behind, and has no values.
func (r *Reconciler) applyConfigMap(ctx context.Context, change ConfigMapChange) (updated bool, err error) {
	desired := change.Desired
	client := r.kube.CoreV1().ConfigMaps(desired.Namespace)
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
