/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/tracker"
	servingconfig "knative.dev/serving/pkg/apis/config"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	"sigs.k8s.io/yaml"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

const namespace = "team-a"

// platformWith returns the defaults of Sidenote and of Serving, with features of
// Serving's enabled.
func platformWith(t *testing.T, image string, features map[string]string) Platform {
	t.Helper()
	agent, err := config.NewAgentFromConfigMap(&corev1.ConfigMap{Data: map[string]string{"image": image}})
	if err != nil {
		t.Fatal(err)
	}
	platform := Platform{Config: config.FromContextOrDefaults(t.Context()), Serving: servingconfig.FromContextOrDefaults(t.Context())}
	platform.Agent = agent
	if platform.Serving.Features, err = servingconfig.NewFeaturesConfigFromMap(features); err != nil {
		t.Fatal(err)
	}
	return platform
}

// serviceFrom reads the spec of a Knative Service as people write it, and sets
// Serving's defaults as its webhook does at the creation.
func serviceFrom(t *testing.T, platform Platform, template string) *servingv1.Service {
	t.Helper()
	service := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: "iris", Namespace: namespace}}
	if err := yaml.UnmarshalStrict([]byte(template), &service.Spec.Template); err != nil {
		t.Fatal(err)
	}
	return defaulted(service, platform)
}

// defaulted sets Serving's defaults as its webhook does at the creation.
func defaulted(service *servingv1.Service, platform Platform) *servingv1.Service {
	service.SetDefaults(servingconfig.ToContext(apis.WithinCreate(context.Background()), platform.Serving))
	return service
}

// bindingTo returns a binding whose sink has an address.
func bindingTo(subject tracker.Reference, logger v1beta1.LoggerSpec) *v1alpha1.LoggerBinding {
	subject.APIVersion, subject.Kind = "serving.knative.dev/v1", "Service"
	binding := &v1alpha1.LoggerBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "payloads", Namespace: namespace, Generation: 1, CreationTimestamp: metav1.NewTime(time.Unix(1000, 0))},
		Spec:       v1alpha1.LoggerBindingSpec{Subject: subject, Logger: &logger},
	}
	binding.Status.ObservedGeneration = 1
	binding.Status.Logger = &v1alpha1.LoggerStatus{Sink: &duckv1.Addressable{URL: apis.HTTP("broker-ingress.knative-eventing.svc.cluster.local")}}
	binding.SetDefaults(context.Background())
	return binding
}

// toAll selects every Knative Service of the namespace.
func toAll() tracker.Reference { return tracker.Reference{Selector: &metav1.LabelSelector{}} }

// withTemplate returns a copy of a Knative Service with another template.
func withTemplate(service *servingv1.Service, template *servingv1.RevisionTemplateSpec) *servingv1.Service {
	service = service.DeepCopy()
	service.Spec.Template = *template.DeepCopy()
	return service
}

// written returns a value as the API server gets it.
func written(t *testing.T, value any) string {
	t.Helper()
	data, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
