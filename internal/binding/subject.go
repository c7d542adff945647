/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/kmeta"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// The labels that KServe gives the Knative Services of its InferenceServices.
const (
	kserveInferenceServiceLabelKey = "serving.kserve.io/inferenceservice"
	kserveComponentLabelKey        = "component"
)

// components are the components that events can name.
var components = map[v1beta1.ComponentType]bool{v1beta1.PredictorComponent: true, "transformer": true, "explainer": true}

// SubjectOf returns a Knative Service as the subject of a binding. The events of a
// component of KServe name its InferenceService and the component; those of any
// other Knative Service name the Knative Service and a predictor.
func SubjectOf(service *servingv1.Service, binding *v1alpha1.LoggerBinding) knativeservice.Subject {
	subject := knativeservice.Subject{
		Namespace: service.Namespace, Service: service.Name,
		InferenceService: service.Name, Component: v1beta1.PredictorComponent,
		Logger:      LoggerOf(binding),
		LoggerField: "spec.logger", ContainersField: "spec.template.spec.containers",
		MetadataName: MetadataName(service.Name), TrustName: TrustName(service.Name),
		ConfigMapLabels: map[string]string{bindings.ServiceLabelKey: service.Name},
		ConfigMapOwner:  *metav1.NewControllerRef(service, servingv1.SchemeGroupVersion.WithKind("Service")),
	}
	// To block the deletion of a Service of others needs permission to update its
	// finalizers.
	subject.ConfigMapOwner.BlockOwnerDeletion = nil
	if name := service.Labels[kserveInferenceServiceLabelKey]; name != "" {
		subject.InferenceService = name
		if component := v1beta1.ComponentType(service.Labels[kserveComponentLabelKey]); components[component] {
			subject.Component = component
		}
	}
	return subject
}

// MetadataName returns the name of the ConfigMap with the live metadata of a Knative
// Service.
func MetadataName(service string) string { return kmeta.ChildName(service, "-logger-metadata") }

// TrustName returns the name of the ConfigMap with the addresses and certificate
// authorities of the sinks of a Knative Service.
func TrustName(service string) string { return kmeta.ChildName(service, "-logger-trust") }

// LoggerOf returns the logger of a binding with its defaults, which no webhook may
// have set.
func LoggerOf(binding *v1alpha1.LoggerBinding) *v1beta1.LoggerSpec {
	logger := binding.Spec.Logger.DeepCopy()
	if logger == nil {
		logger = &v1beta1.LoggerSpec{}
	}
	logger.SetDefaults(context.Background())
	return logger
}

// MetadataOf selects the annotations and labels that the binding lists: those of the
// Knative Service. On a Knative Service of KServe it selects those of the template,
// to which KServe copies the annotations and labels of its InferenceService; the
// objects that KServe compares by a dry run lack the Service's own annotations.
func MetadataOf(service *servingv1.Service, binding *v1alpha1.LoggerBinding, denylist metadata.Denylist) knativeservice.Selection {
	object := metadata.Object{Annotations: service.Annotations, Labels: service.Labels}
	if service.Labels[kserveInferenceServiceLabelKey] != "" {
		object = metadata.Object{Annotations: service.Spec.Template.Annotations, Labels: service.Spec.Template.Labels}
	}
	return knativeservice.SelectMetadata(object, LoggerOf(binding), denylist)
}

// LoggerHash names what the binding asks of the agent of a Knative Service: the
// logger, and unless the metadata is live the values of the listed annotations and
// labels.
// While the hash in the record is the same, the agent is as the binding describes
// it, whatever the platform's settings are now.
func LoggerHash(service *servingv1.Service, binding *v1alpha1.LoggerBinding) string {
	return knativeservice.LoggerHash(binding.Spec.Logger, MetadataOf(service, binding, nil).Listed)
}
