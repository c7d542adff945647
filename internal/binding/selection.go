/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
)

// Selects reports whether a binding selects a Knative Service, by name or by its
// labels. A binding that is being deleted selects nothing.
func Selects(binding *v1alpha1.LoggerBinding, service *servingv1.Service) bool {
	subject := binding.Spec.Subject
	switch {
	case binding.DeletionTimestamp != nil, binding.Namespace != service.Namespace,
		subject.Namespace != "" && subject.Namespace != service.Namespace,
		subject.APIVersion != servingv1.SchemeGroupVersion.String(), subject.Kind != "Service":
		return false
	case subject.Name != "":
		return subject.Name == service.Name
	case subject.Selector != nil:
		selector, err := metav1.LabelSelectorAsSelector(subject.Selector)
		return err == nil && selector.Matches(labels.Set(service.Labels))
	default:
		return false
	}
}

// Select returns the binding that binds a Knative Service: of those that select it
// the oldest, and of two of one age the first by name. It returns nil if none
// selects it.
func Select(bindings []*v1alpha1.LoggerBinding, service *servingv1.Service) *v1alpha1.LoggerBinding {
	var oldest *v1alpha1.LoggerBinding
	for _, binding := range bindings {
		if Selects(binding, service) && (oldest == nil || isBefore(binding, oldest)) {
			oldest = binding
		}
	}
	return oldest
}

func isBefore(a, b *v1alpha1.LoggerBinding) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.Name < b.Name
}
