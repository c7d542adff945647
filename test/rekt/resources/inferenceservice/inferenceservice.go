/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package inferenceservice installs InferenceServices of the test model for
// features, and reads what became of them.
package inferenceservice

import (
	"context"
	"embed"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/runtime/schema"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/reconciler-test/pkg/feature"
	"knative.dev/reconciler-test/pkg/k8s"
	"knative.dev/reconciler-test/pkg/manifest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"knative.dev/reconciler-test/pkg/environment"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	servingclient "knative.dev/serving/pkg/client/injection/client"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	sidenoteclient "github.com/sidenote-dev/sidenote/pkg/client/injection/client"
	"github.com/sidenote-dev/sidenote/test/rekt/flow"
)

// The main packages of the test model and of the transformer in front of it.
const (
	ModelPackage       = "github.com/sidenote-dev/sidenote/test/test_images/model"
	TransformerPackage = "github.com/sidenote-dev/sidenote/test/test_images/transformer"
)

//go:embed *.yaml
var templates embed.FS

// Option changes the object that Install makes.
type Option func(*object)

// object is an InferenceService as a user would write it.
type object struct {
	annotations, labels map[string]string
	predictor           map[string]any
	container           map[string]any
	// transformer is nil without one.
	transformer map[string]any
}

// WithAnnotations sets the object's annotations.
func WithAnnotations(annotations map[string]string) Option {
	return func(o *object) { o.annotations = annotations }
}

// WithLabels sets the object's labels.
func WithLabels(labels map[string]string) Option {
	return func(o *object) { o.labels = labels }
}

// WithLogger sets fields of the logger. Without this option there is one with
// nothing set.
func WithLogger(fields map[string]any) Option {
	return WithPredictor("logger", fields)
}

// WithPredictor sets a field of the predictor.
func WithPredictor(field string, value any) Option {
	return func(o *object) { o.predictor[field] = value }
}

// WithContainer sets a field of the model's container.
func WithContainer(field string, value any) Option {
	return func(o *object) { o.container[field] = value }
}

// WithEnv sets one environment variable of the model's container.
func WithEnv(name, value string) Option {
	return WithContainer("env", []map[string]string{{"name": name, "value": value}})
}

// WithH2C lets the model's port speak HTTP/2 with prior knowledge, as gRPC
// needs.
func WithH2C() Option {
	return WithContainer("ports", []map[string]any{{"name": "h2c", "containerPort": 8080}})
}

// WithTransformer adds the test transformer, with fields of its own logger.
func WithTransformer(logger map[string]any) Option {
	return func(o *object) {
		o.transformer = map[string]any{
			"containers": []any{map[string]any{"image": "ko://" + TransformerPackage}},
			"logger":     logger,
		}
	}
}

// Install applies an InferenceService of the test model.
func Install(name string, options ...Option) feature.StepFn {
	o := &object{
		annotations: map[string]string{}, labels: map[string]string{},
		container: map[string]any{
			"image": "ko://" + ModelPackage,
			"ports": []map[string]any{{"containerPort": 8080}},
		},
		predictor: map[string]any{"logger": map[string]any{}},
	}
	for _, option := range options {
		option(o)
	}
	return func(ctx context.Context, t feature.T) {
		predictor := maps.Clone(o.predictor)
		predictor["containers"] = []any{o.container}
		if _, err := manifest.InstallYamlFS(ctx, templates, map[string]any{
			"name":        name,
			"annotations": flow.Style(t, o.annotations),
			"labels":      flow.Style(t, o.labels),
			"predictor":   flow.Style(t, predictor),
			"transformer": flow.Style(t, o.transformer),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// GVR is the resource of InferenceServices.
func GVR() schema.GroupVersionResource {
	return v1beta1.SchemeGroupVersion.WithResource("inferenceservices")
}

// IsReady waits until an InferenceService is ready.
func IsReady(name string) feature.StepFn {
	return k8s.IsReady(GVR(), name)
}

// AsReference refers to an InferenceService.
func AsReference(name string) *duckv1.KReference {
	return &duckv1.KReference{APIVersion: v1beta1.SchemeGroupVersion.String(), Kind: "InferenceService", Name: name}
}

// ServiceName is the name of the Knative Service of an InferenceService, and
// so the source of its events.
func ServiceName(name string) string {
	return name + "-predictor-default"
}

// Get reads an InferenceService.
func Get(ctx context.Context, name string) (*v1beta1.InferenceService, error) {
	namespace := environment.FromContext(ctx).Namespace()
	return sidenoteclient.Get(ctx).ServingV1beta1().InferenceServices(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Update changes an InferenceService.
func Update(ctx context.Context, name string, change func(*v1beta1.InferenceService)) error {
	client := sidenoteclient.Get(ctx).ServingV1beta1().InferenceServices(environment.FromContext(ctx).Namespace())
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

// Annotate sets one annotation of an InferenceService.
func Annotate(ctx context.Context, name, key, value string) error {
	return Update(ctx, name, func(service *v1beta1.InferenceService) {
		if service.Annotations == nil {
			service.Annotations = make(map[string]string, 1)
		}
		service.Annotations[key] = value
	})
}

// KnativeService reads the Knative Service of an InferenceService.
func KnativeService(ctx context.Context, name string) (*servingv1.Service, error) {
	namespace := environment.FromContext(ctx).Namespace()
	return servingclient.Get(ctx).ServingV1().Services(namespace).Get(ctx, ServiceName(name), metav1.GetOptions{})
}

// Revisions lists the names of an InferenceService's Revisions.
func Revisions(ctx context.Context, name string) ([]string, error) {
	namespace := environment.FromContext(ctx).Namespace()
	list, err := servingclient.Get(ctx).ServingV1().Revisions(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: fmt.Sprintf("serving.knative.dev/service=%s", ServiceName(name)),
	})
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(list.Items))
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}
