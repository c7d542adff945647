/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/kmeta"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// Subject is a Knative Service that gets an agent, and the logger that describes
// the agent. An InferenceService makes one; a LoggerBinding selects those of
// others.
type Subject struct {
	Namespace string
	// Service is the name of the Knative Service, which is the source of its
	// events.
	Service string
	// InferenceService and Component are the attributes of its events that name
	// the model.
	InferenceService string
	Component        v1beta1.ComponentType
	// Logger is the logger, with its defaults set.
	Logger *v1beta1.LoggerSpec
	// LoggerField and ContainersField are the paths of the logger and of the
	// containers in the objects that their owners write, for messages.
	LoggerField, ContainersField string

	// MetadataName and TrustName are the names of the ConfigMaps that the agent
	// reads while it runs.
	MetadataName, TrustName string
	// ConfigMapLabels are the labels of these ConfigMaps.
	ConfigMapLabels map[string]string
	// ConfigMapOwner is the owner of these ConfigMaps.
	ConfigMapOwner metav1.OwnerReference
}

// SubjectOf returns the predictor of an InferenceService with a logger.
func SubjectOf(is *v1beta1.InferenceService) Subject {
	component := v1beta1.PredictorComponent
	return Subject{
		Namespace: is.Namespace, Service: is.ServiceName(component),
		InferenceService: is.Name, Component: component,
		Logger:      is.Spec.Predictor.Logger,
		LoggerField: "spec.predictor.logger", ContainersField: "spec.predictor.containers",
		MetadataName: is.MetadataName(component), TrustName: is.TrustName(component),
		ConfigMapLabels: componentLabels(is), ConfigMapOwner: *kmeta.NewControllerRef(is),
	}
}

// configMapMeta returns the metadata of a ConfigMap that the agent reads.
func (s Subject) configMapMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: name, Namespace: s.Namespace,
		Labels: s.ConfigMapLabels, OwnerReferences: []metav1.OwnerReference{s.ConfigMapOwner},
	}
}
