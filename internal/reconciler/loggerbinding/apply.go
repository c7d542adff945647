/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"knative.dev/pkg/controller"

	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
)

// apply writes the changes of a binding, and sets its status to what came of
// them.
func (r *Reconciler) apply(ctx context.Context, b *v1alpha1.LoggerBinding, changes Changes, namespaceIncluded bool) error {
	failures := configmaps.Apply(ctx, r.kube, b, changes.ConfigMaps)
	refused, err := r.applyServices(ctx, b, changes.Services)
	b.Status = changes.Status
	b.Status.MarkSubjects(withRefused(changes, refused), namespaceIncluded)
	if failure := failures[v1alpha1.TrustReady]; failure != nil {
		b.Status.MarkTrustNotWritten(failure)
	}
	if failure := failures[v1alpha1.MetadataReady]; failure != nil {
		b.Status.MarkMetadataNotWritten(failure)
	}
	for _, failure := range failures {
		err = errors.Join(err, failure)
	}
	if err == nil && changes.RetryAfter > 0 {
		return controller.NewRequeueAfter(changes.RetryAfter)
	}
	return err
}

// applyDeletion writes the changes after the deletion of a binding.
func (r *Reconciler) applyDeletion(ctx context.Context, changes Changes) error {
	_, err := r.applyServices(ctx, nil, changes.Services)
	for _, failure := range configmaps.Apply(ctx, r.kube, nil, changes.ConfigMaps) {
		err = errors.Join(err, failure)
	}
	if err == nil && changes.RetryAfter > 0 {
		return controller.NewRequeueAfter(changes.RetryAfter)
	}
	return err
}

// applyServices writes the templates of Knative Services, with events about an
// object, or about each of them if it is nil. It returns the errors by name.
func (r *Reconciler) applyServices(ctx context.Context, b *v1alpha1.LoggerBinding, changes []ServiceChange) (refused map[string]error, err error) {
	refused = make(map[string]error)
	for _, change := range changes {
		var about runtime.Object = change.Service
		if b != nil {
			about = b
		}
		updated := change.Service.DeepCopy()
		updated.Spec.Template = *change.Template
		if _, failure := r.serving.ServingV1().Services(updated.Namespace).Update(ctx, updated, metav1.UpdateOptions{}); failure != nil {
			failure = fmt.Errorf("update Knative Service %q: %w", updated.Name, failure)
			refused[updated.Name], err = failure, errors.Join(err, failure)
			continue
		}
		if change.Bound {
			controller.GetEventRecorder(ctx).Eventf(about, corev1.EventTypeNormal, "AgentAdded", "Updated the agent in the template of Knative Service %q", updated.Name)
		} else {
			controller.GetEventRecorder(ctx).Eventf(about, corev1.EventTypeNormal, "AgentRemoved", "Removed the agent from the template of Knative Service %q", updated.Name)
		}
	}
	return refused, err
}

// withRefused returns the states of the subjects, those that couldn't be written
// as they were before.
func withRefused(changes Changes, refused map[string]error) []v1alpha1.SubjectStatus {
	if len(refused) == 0 {
		return changes.Subjects
	}
	var states []v1alpha1.SubjectStatus
	before := make(map[string]v1alpha1.SubjectStatus)
	for _, change := range changes.Services {
		failure := refused[change.Service.Name]
		if failure == nil {
			continue
		}
		status := change.Before
		if !apierrors.IsConflict(failure) {
			status.Reason, status.Message = v1alpha1.ReasonNotWritten, bounded(failure.Error())
			if change.Bound {
				status.State = v1alpha1.SubjectNotBound
			}
		}
		before[status.Name] = status
	}
	for _, status := range changes.Subjects {
		if earlier, found := before[status.Name]; found {
			status = earlier
			delete(before, status.Name)
		}
		states = append(states, status)
	}
	// Those that keep the agent weren't listed.
	for _, change := range changes.Services {
		if status, found := before[change.Service.Name]; found {
			states = append(states, status)
		}
	}
	slices.SortFunc(states, func(a, b v1alpha1.SubjectStatus) int { return strings.Compare(a.Name, b.Name) })
	return states
}
