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
func (r *Reconciler) apply(ctx context.Context, is *v1beta1.InferenceService, live Live, changes Changes) error {
	failures := configmaps.Apply(ctx, r.kube, is, changes.ConfigMaps)
	route, routeErr := live.Route, error(nil)
	if live.Route != nil {
		// Traffic must have left a component before that is deleted.
		route, routeErr = r.applyRoute(ctx, live.Route, changes.Route)
	}
	services := make(map[v1beta1.ComponentType]*servingv1.Service)
	refusals := make(map[v1beta1.ComponentType]error)
	var unwritten []v1beta1.ComponentType
	var errs []error
	for _, change := range changes.Components {
		var present *servingv1.Service
		if component := live.Components[change.Type]; component != nil {
			present = component.Service
		}
		service, err := r.applyComponent(ctx, is, present, change)
		services[change.Type] = service
		if err == nil {
			continue
		}
		errs = append(errs, err)
		if change.Service != nil {
			unwritten = append(unwritten, change.Type)
			refusals[change.Type] = err
		}
	}
	if live.Route == nil {
		route, routeErr = r.applyRoute(ctx, nil, changes.Route)
	}
	is.Status = changes.Status(unwritten...)
	for _, change := range changes.Components {
		refusal := refusals[change.Type]
		switch {
		case change.Removed, change.Foreign != nil, apierrors.IsConflict(refusal):
		case refusal != nil:
			is.Status.MarkServiceRefused(change.Type, explained(ctx, is, errors.Unwrap(refusal)))
		default:
			is.Status.PropagateService(change.Type, services[change.Type])
		}
	}
	reportRoute(is, route, routeErr)
	if failure := failures[v1beta1.TrustReady]; failure != nil {
		is.Status.MarkTrustNotWritten(failure)
	}
	if failure := failures[v1beta1.MetadataReady]; failure != nil {
		is.Status.MarkMetadataNotWritten(failure)
	}
	err := errors.Join(append(errs, routeErr, failures[v1beta1.MetadataReady], failures[v1beta1.TrustReady], failures[""])...)
	if err == nil && changes.RetryAfter > 0 {
		return controller.NewRequeueAfter(changes.RetryAfter)
	}
	return err
}

// applyComponent writes or deletes the Knative Service of a component, and gives
// the one that there is then.
func (r *Reconciler) applyComponent(ctx context.Context, is *v1beta1.InferenceService, live *servingv1.Service, change ComponentChange) (*servingv1.Service, error) {
	switch {
	case change.Foreign != nil:
		return nil, fmt.Errorf("the Knative Service %q is not owned by this InferenceService", change.Foreign.Name)
	case change.Delete != nil:
		return nil, r.deleteService(ctx, is, change.Delete)
	}
	service, err := r.applyService(ctx, is, live, change.Service)
	if err != nil {
		verb := "update"
		if live == nil {
			verb = "create"
		}
		return nil, fmt.Errorf("%s Knative Service %q: %w", verb, change.Service.Name, err)
	}
	return service, nil
}

// applyRoute creates or updates the Knative Route, and gives the one that there is
// then.
func (r *Reconciler) applyRoute(ctx context.Context, live, desired *servingv1.Route) (*servingv1.Route, error) {
	if desired == nil {
		return live, nil
	}
	client, verb := r.serving.ServingV1().Routes(desired.Namespace), "update"
	var written *servingv1.Route
	var err error
	if live == nil {
		verb = "create"
		written, err = client.Create(ctx, desired, metav1.CreateOptions{})
	} else {
		written, err = client.Update(ctx, desired, metav1.UpdateOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("%s Knative Route %q: %w", verb, desired.Name, err)
	}
	return written, nil
}

// reportRoute says in the status what came of the Route.
func reportRoute(is *v1beta1.InferenceService, route *servingv1.Route, err error) {
	switch {
	case apierrors.IsConflict(err):
	case err != nil:
		is.Status.MarkRouteRefused(errors.Unwrap(err))
	case route == nil:
	case !metav1.IsControlledBy(route, is):
		is.Status.MarkRouteNotOwned(route.Name)
	default:
		is.Status.PropagateRoute(route)
	}
}

func (r *Reconciler) deleteService(ctx context.Context, is *v1beta1.InferenceService, live *servingv1.Service) error {
	err := r.serving.ServingV1().Services(live.Namespace).Delete(ctx, live.Name, *metav1.NewPreconditionDeleteOptions(string(live.UID)))
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("delete Knative Service %q: %w", live.Name, err)
	}
	controller.GetEventRecorder(ctx).Eventf(is, corev1.EventTypeNormal, "Deleted", "Deleted Knative Service %q", live.Name)
	return nil
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
	if err == nil {
		if applied, _ := knativeservice.LastApplied(updated); applied != nil && applied.RemovedDenied {
			r.written.Add(updated)
		}
	}
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
