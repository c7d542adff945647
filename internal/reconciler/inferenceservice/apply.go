/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"knative.dev/pkg/controller"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// apply writes the changes, and sets the status to what came of them.
func (r *Reconciler) apply(ctx context.Context, is *v1beta1.InferenceService, live *servingv1.Service, changes Changes) error {
	if changes.Err != nil {
		is.Status = changes.Status
		return changes.Err
	}
	failures := configmaps.Apply(ctx, r.kube, is, changes.ConfigMaps)
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
