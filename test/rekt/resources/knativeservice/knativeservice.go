/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package knativeservice installs Knative Services of the test model for
// features, as a user writes them, and reads their state.
package knativeservice

import (
	"context"
	"embed"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	"knative.dev/reconciler-test/pkg/k8s"
	"knative.dev/reconciler-test/pkg/manifest"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	servingclient "knative.dev/serving/pkg/client/injection/client"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/flow"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

//go:embed *.yaml
var templates embed.FS

// Option changes the Knative Service that Install makes.
type Option func(*object)

// object is a Knative Service as a user would write it.
type object struct {
	annotations, labels    map[string]string
	templateMetadata, spec map[string]any
	container              map[string]any
	containersAfter        []map[string]any
}

// WithAnnotations sets annotations of the Knative Service.
func WithAnnotations(annotations map[string]string) Option {
	return func(o *object) { maps.Copy(o.annotations, annotations) }
}

// WithLabels sets labels of the Knative Service.
func WithLabels(labels map[string]string) Option {
	return func(o *object) { maps.Copy(o.labels, labels) }
}

// WithTemplateMetadata sets a field of the template's metadata.
func WithTemplateMetadata(field string, value any) Option {
	return func(o *object) { o.templateMetadata[field] = value }
}

// WithSpec sets a field of the template's specification.
func WithSpec(field string, value any) Option {
	return func(o *object) { o.spec[field] = value }
}

// WithContainer sets a field of the model's container, or removes it if the
// value is nil.
func WithContainer(field string, value any) Option {
	return func(o *object) {
		if value == nil {
			delete(o.container, field)
			return
		}
		o.container[field] = value
	}
}

// WithSidecar adds a container of the test model that listens on a port of
// its own, which it doesn't declare.
func WithSidecar(name, port string) Option {
	return func(o *object) {
		o.containersAfter = append(o.containersAfter, map[string]any{
			"name": name, "image": "ko://" + inferenceservice.ModelPackage,
			"env": []map[string]string{{"name": "PORT", "value": port}},
		})
	}
}

// Install applies a Knative Service of the test model.
func Install(name string, options ...Option) feature.StepFn {
	o := &object{
		annotations: map[string]string{}, labels: map[string]string{}, templateMetadata: map[string]any{}, spec: map[string]any{},
		container: map[string]any{
			"image": "ko://" + inferenceservice.ModelPackage,
			"ports": []map[string]any{{"containerPort": 8080}},
		},
	}
	for _, option := range options {
		option(o)
	}
	return func(ctx context.Context, t feature.T) {
		spec := maps.Clone(o.spec)
		containers := []any{o.container}
		for _, container := range o.containersAfter {
			containers = append(containers, container)
		}
		spec["containers"] = containers
		if _, err := manifest.InstallYamlFS(ctx, templates, map[string]any{
			"name":             name,
			"annotations":      flow.Style(t, o.annotations),
			"labels":           flow.Style(t, o.labels),
			"templateMetadata": flow.Style(t, o.templateMetadata),
			"spec":             flow.Style(t, spec),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// GVR is the resource of Knative Services.
func GVR() schema.GroupVersionResource {
	return servingv1.SchemeGroupVersion.WithResource("services")
}

// IsReady waits until a Knative Service is ready.
func IsReady(name string) feature.StepFn {
	return k8s.IsReady(GVR(), name)
}

// Get reads a Knative Service.
func Get(ctx context.Context, name string) (*servingv1.Service, error) {
	return servingclient.Get(ctx).ServingV1().Services(environment.FromContext(ctx).Namespace()).Get(ctx, name, metav1.GetOptions{})
}

// Update changes a Knative Service.
func Update(ctx context.Context, name string, change func(*servingv1.Service)) error {
	client := servingclient.Get(ctx).ServingV1().Services(environment.FromContext(ctx).Namespace())
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		service, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(service)
		_, err = client.Update(ctx, service, metav1.UpdateOptions{})
		return err
	})
}

// Agent returns the agent's container of a template, or nil.
func Agent(service *servingv1.Service) *corev1.Container {
	for i := range service.Spec.Template.Spec.Containers {
		if container := &service.Spec.Template.Spec.Containers[i]; container.Name == v1beta1.AgentContainerName {
			return container
		}
	}
	return nil
}
