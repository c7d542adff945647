/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"context"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	netapi "knative.dev/networking/pkg/apis/networking"
	"knative.dev/pkg/kmeta"
	"knative.dev/pkg/ptr"
	knativeserving "knative.dev/serving/pkg/apis/serving"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// serviceAnnotations are the annotations that Knative reads from a Service.
var serviceAnnotations = []string{knativeserving.RolloutDurationKey}

// serviceLabels are the labels that Knative reads from a Service.
var serviceLabels = []string{netapi.VisibilityLabelKey}

// MakeService builds the predictor's Knative Service. What Serving would
// default and we own is written explicitly.
func MakeService(is *v1beta1.InferenceService, ownerHash string, applied Applied) *servingv1.Service {
	service, _ := makeService(is, ownerHash, applied)
	return service
}

// Ignored names what of an InferenceService's logger the predictor's Knative
// Service is made without, and why: only an object that no webhook saw has
// such.
func Ignored(is *v1beta1.InferenceService, applied Applied) []string {
	_, ignored := makeService(is, "", applied)
	return ignored
}

func makeService(is *v1beta1.InferenceService, ownerHash string, applied Applied) (service *servingv1.Service, ignored []string) {
	is = is.DeepCopy()
	// No webhook may have done so.
	is.SetDefaults(context.Background())
	predictor := is.Spec.Predictor
	pod := *predictor.PodSpec.DeepCopy()
	moveRootToContainers(&pod)
	if pod.EnableServiceLinks == nil {
		// Serving sets its default only when a Service is created.
		pod.EnableServiceLinks = ptr.Bool(false)
	}
	annotations := map[string]string{serving.OwnerHashAnnotationKey: ownerHash}
	if predictor.Logger != nil {
		if NoAgent(is) == "" {
			_, ignored = Inject(&pod, SubjectOf(is), applied)
		}
		annotations[serving.LastAppliedAnnotationKey] = string(mustMarshal(applied))
	}
	for _, key := range serviceAnnotations {
		if value, found := is.Annotations[key]; found {
			annotations[key] = value
		}
	}
	labels := componentLabels(is)
	for _, key := range serviceLabels {
		if value, found := is.Labels[key]; found {
			labels[key] = value
		}
	}
	service = &servingv1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name:            is.ServiceName(v1beta1.PredictorComponent),
			Namespace:       is.Namespace,
			Labels:          labels,
			Annotations:     annotations,
			OwnerReferences: []metav1.OwnerReference{*kmeta.NewControllerRef(is)},
		},
		Spec: servingv1.ServiceSpec{
			ConfigurationSpec: servingv1.ConfigurationSpec{
				Template: servingv1.RevisionTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{
						Labels:      templateLabels(is),
						Annotations: templateAnnotations(is),
					},
					Spec: servingv1.RevisionSpec{
						PodSpec:                     pod,
						ContainerConcurrency:        predictor.ContainerConcurrency,
						TimeoutSeconds:              predictor.Timeout,
						ResponseStartTimeoutSeconds: predictor.ResponseStartTimeoutSeconds,
						IdleTimeoutSeconds:          predictor.IdleTimeoutSeconds,
					},
				},
			},
			RouteSpec: servingv1.RouteSpec{
				Traffic: []servingv1.TrafficTarget{{LatestRevision: ptr.Bool(true), Percent: ptr.Int64(100)}},
			},
		},
	}
	return service, ignored
}

// TakeOver returns the live Knative Service the desired labels and annotations,
// and the desired specification unless the one that it has holds, which this
// controller might build otherwise than the one that built it. It leaves the
// labels and annotations of others. It reports whether any of the metadata
// that we own changed; the specification is not compared, for Serving's
// webhook has defaulted the live one.
func TakeOver(live, desired *servingv1.Service, templateHolds bool) (updated *servingv1.Service, metadataChanged bool) {
	updated = live.DeepCopy()
	annotations := maps.Clone(desired.Annotations)
	if templateHolds {
		// The record says the same, perhaps in an older form.
		if record, found := live.Annotations[serving.LastAppliedAnnotationKey]; found {
			annotations[serving.LastAppliedAnnotationKey] = record
		}
	} else {
		updated.Spec = desired.Spec
	}
	labelsChanged := own(&updated.Labels, desired.Labels, serviceLabels)
	annotationsChanged := own(&updated.Annotations, annotations, append([]string{serving.LastAppliedAnnotationKey}, serviceAnnotations...))
	return updated, labelsChanged || annotationsChanged
}

// own sets what is desired, and removes the keys that are ours alone where
// they are not desired.
func own(live *map[string]string, desired map[string]string, ours []string) (changed bool) {
	if *live == nil {
		*live = make(map[string]string, len(desired))
	}
	for key, value := range desired {
		if present, found := (*live)[key]; !found || present != value {
			(*live)[key] = value
			changed = true
		}
	}
	for _, key := range ours {
		_, isDesired := desired[key]
		if _, found := (*live)[key]; found && !isDesired {
			delete(*live, key)
			changed = true
		}
	}
	return changed
}

func componentLabels(is *v1beta1.InferenceService) map[string]string {
	return map[string]string{
		serving.InferenceServiceLabelKey: is.Name,
		serving.ComponentLabelKey:        string(v1beta1.PredictorComponent),
	}
}
