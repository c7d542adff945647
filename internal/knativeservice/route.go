/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"maps"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/kmeta"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// MakeRoute builds the Knative Route with the name of the InferenceService, by
// which it is one host for clients: the component in front responds there. The
// traffic is divided as that of the component's Knative Service.
func MakeRoute(is *v1beta1.InferenceService, service *servingv1.Service) *servingv1.Route {
	route := &servingv1.Route{ObjectMeta: metav1.ObjectMeta{
		Name: is.Name, Namespace: is.Namespace,
		Labels:          map[string]string{serving.InferenceServiceLabelKey: is.Name},
		Annotations:     make(map[string]string),
		OwnerReferences: []metav1.OwnerReference{*kmeta.NewControllerRef(is)},
	}}
	for _, key := range serviceLabels {
		if value, found := is.Labels[key]; found {
			route.Labels[key] = value
		}
	}
	for _, key := range serviceAnnotations {
		if value, found := is.Annotations[key]; found {
			route.Annotations[key] = value
		}
	}
	for _, target := range service.Spec.Traffic {
		// The Revision with a tag has its own host already.
		target := servingv1.TrafficTarget{RevisionName: target.RevisionName, LatestRevision: target.LatestRevision, Percent: target.Percent}
		if target.RevisionName == "" {
			// A Configuration has the name of its Knative Service.
			target.ConfigurationName = service.Name
		}
		route.Spec.Traffic = append(route.Spec.Traffic, target)
	}
	return route
}

// TakeOverRoute returns the live Route the desired traffic, labels and
// annotations, and leaves those of others. It reports whether anything changed.
func TakeOverRoute(live, desired *servingv1.Route) (updated *servingv1.Route, changed bool) {
	updated = live.DeepCopy()
	updated.Spec.Traffic = desired.Spec.Traffic
	labelsChanged := own(&updated.Labels, maps.Clone(desired.Labels), serviceLabels)
	annotationsChanged := own(&updated.Annotations, maps.Clone(desired.Annotations), serviceAnnotations)
	return updated, labelsChanged || annotationsChanged || !equality.Semantic.DeepEqual(live.Spec.Traffic, desired.Spec.Traffic)
}
