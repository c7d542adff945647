/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package configmaps

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	corev1listers "k8s.io/client-go/listers/core/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	servingv1listers "knative.dev/serving/pkg/client/listers/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	v1beta1listers "github.com/sidenote-dev/sidenote/pkg/client/listers/serving/v1beta1"
)

// Readers finds out whether pods of a namespace read the ConfigMap that all its
// agents share.
type Readers struct {
	InferenceServices v1beta1listers.InferenceServiceLister
	Services          servingv1listers.ServiceLister
	// OfBindings has the fingerprints of the ConfigMaps with the label
	// bindings.ServiceLabelKey.
	OfBindings corev1listers.ConfigMapLister
}

// Read reports whether pods of a namespace read its ConfigMap, which is nil if
// there is none.
func (r Readers) Read(namespace string, shared *corev1.ConfigMap) (bool, error) {
	all, err := r.InferenceServices.InferenceServices(namespace).List(labels.Everything())
	if err != nil {
		return false, fmt.Errorf("list the InferenceServices of the namespace: %w", err)
	}
	if slices.ContainsFunc(all, func(is *v1beta1.InferenceService) bool {
		switch {
		case is.DeletionTimestamp != nil:
			return false
		case is.Spec.Predictor.Logger != nil:
			return true
		case shared == nil:
			// Pods from when it had a logger found none.
			return false
		}
		service, err := r.Services.Services(namespace).Get(is.ServiceName(v1beta1.PredictorComponent))
		return err == nil && metav1.IsControlledBy(service, is) && knativeservice.MayHaveAgents(service)
	}) {
		return true, nil
	}
	services, err := r.Services.Services(namespace).List(labels.Everything())
	if err != nil {
		return false, fmt.Errorf("list the Knative Services of the namespace: %w", err)
	}
	if slices.ContainsFunc(services, func(service *servingv1.Service) bool {
		_, bound := service.Spec.Template.Annotations[bindings.BoundAnnotationKey]
		return bound && service.DeletionTimestamp == nil
	}) {
		return true, nil
	}
	// Those of a Knative Service stay until no pod with an agent serves.
	own, err := r.OfBindings.ConfigMaps(namespace).List(labels.Everything())
	if err != nil {
		return false, fmt.Errorf("list the ConfigMaps of the namespace: %w", err)
	}
	return len(own) > 0, nil
}
