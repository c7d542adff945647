/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package kserve installs InferenceServices of KServe for features, and reads
// what became of them. It knows them as unstructured objects, so that no test
// needs KServe's modules.
package kserve

import (
	"context"
	"embed"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"knative.dev/pkg/injection/clients/dynamicclient"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	"knative.dev/reconciler-test/pkg/k8s"
	"knative.dev/reconciler-test/pkg/manifest"

	"github.com/sidenote-dev/sidenote/test/rekt/flow"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// InferenceServiceLabel is the label that KServe gives to the Knative Services
// of an InferenceService; its value is the InferenceService's name.
const InferenceServiceLabel = "serving.kserve.io/inferenceservice"

// The names of the components.
const (
	Predictor   = "predictor"
	Transformer = "transformer"
)

//go:embed *.yaml
var templates embed.FS

// Option changes the object that Install makes.
type Option func(*object)

// object is an InferenceService as a user would write it.
type object struct {
	annotations map[string]string
	spec        map[string]map[string]any
}

// WithAnnotations sets the object's annotations.
func WithAnnotations(annotations map[string]string) Option {
	return func(o *object) { o.annotations = annotations }
}

// WithModelFormat has the predictor be a model that the ServingRuntime of
// samples/kserve serves, after a storage initializer brought it.
func WithModelFormat() Option {
	return func(o *object) {
		o.spec[Predictor] = map[string]any{"model": map[string]any{
			"modelFormat": map[string]string{"name": "sidenote-sample"},
			"storageUri":  "sample://models/a-model",
		}}
	}
}

// WithContainer has the predictor be a container of the test model, without
// the help of a ServingRuntime.
func WithContainer() Option {
	return func(o *object) {
		o.spec[Predictor] = map[string]any{"containers": []any{map[string]any{
			"name":  "kserve-container",
			"image": "ko://" + inferenceservice.ModelPackage,
			"ports": []map[string]any{{"containerPort": 8080, "protocol": "TCP"}},
		}}}
	}
}

// WithTransformer puts the test transformer in front of the predictor.
func WithTransformer() Option {
	return func(o *object) {
		o.spec[Transformer] = map[string]any{"containers": []any{map[string]any{
			"name": "kserve-container", "image": "ko://" + inferenceservice.TransformerPackage,
		}}}
	}
}

// WithLogger returns the predictor a logger of KServe's own. Its place is after
// the option for the predictor.
func WithLogger(url string) Option {
	return func(o *object) { o.spec[Predictor]["logger"] = map[string]string{"mode": "all", "url": url} }
}

// Install applies an InferenceService. It needs an option for its predictor.
func Install(name string, options ...Option) feature.StepFn {
	o := &object{annotations: map[string]string{}, spec: map[string]map[string]any{}}
	for _, option := range options {
		option(o)
	}
	return func(ctx context.Context, t feature.T) {
		if _, err := manifest.InstallYamlFS(ctx, templates, map[string]any{
			"name": name, "annotations": flow.Style(t, o.annotations), "spec": flow.Style(t, o.spec),
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// GVR is the resource of KServe's InferenceServices.
func GVR() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "serving.kserve.io", Version: "v1beta1", Resource: "inferenceservices"}
}

// IsReady waits until an InferenceService is ready. KServe gives it the
// observedGeneration of a Knative Service, which says nothing of its own.
func IsReady(name string) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		if err := k8s.WaitForResourceCondition(ctx, t, environment.FromContext(ctx).Namespace(), name, GVR(), func(service duckv1.KResource) bool {
			return service.GetStatus().GetCondition(apis.ConditionReady).IsTrue()
		}); err != nil {
			t.Fatalf("InferenceService %s: %v", name, err)
		}
	}
}

// ServiceName is the name of the Knative Service of a component, and so the
// source of its events.
func ServiceName(name, component string) string {
	return name + "-" + component
}

func client(ctx context.Context) dynamic.ResourceInterface {
	return dynamicclient.Get(ctx).Resource(GVR()).Namespace(environment.FromContext(ctx).Namespace())
}

// URL returns the URL at which an InferenceService says that it is.
func URL(ctx context.Context, name string) (*apis.URL, error) {
	service, err := client(ctx).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	url, _, err := unstructured.NestedString(service.Object, "status", "url")
	if err != nil {
		return nil, err
	}
	if url == "" {
		return nil, fmt.Errorf("InferenceService %s has no status.url", name)
	}
	return apis.ParseURL(url)
}

// Update changes an InferenceService.
func Update(ctx context.Context, name string, change func(service *unstructured.Unstructured) error) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		service, err := client(ctx).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := change(service); err != nil {
			return err
		}
		_, err = client(ctx).Update(ctx, service, metav1.UpdateOptions{})
		return err
	})
}

// Annotate sets one annotation of an InferenceService.
func Annotate(ctx context.Context, name, key, value string) error {
	return Update(ctx, name, func(service *unstructured.Unstructured) error {
		return unstructured.SetNestedField(service.Object, value, "metadata", "annotations", key)
	})
}

// Delete deletes an InferenceService.
func Delete(ctx context.Context, name string) error {
	return client(ctx).Delete(ctx, name, metav1.DeleteOptions{})
}
