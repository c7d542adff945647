/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package loggerbinding installs LoggerBindings for features, and reads their
// status.
package loggerbinding

import (
	"context"
	"embed"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"knative.dev/pkg/injection/clients/dynamicclient"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	"knative.dev/reconciler-test/pkg/manifest"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
)

//go:embed *.yaml
var templates embed.FS

// Option changes the specification that Install writes.
type Option func(spec map[string]any)

// WithRollout sets when Knative Services follow the binding.
func WithRollout(rollout v1alpha1.Rollout) Option {
	return func(spec map[string]any) { spec["rollout"] = rollout }
}

// WithLogger sets fields of the logger. Without this option there is one with
// nothing set.
func WithLogger(fields map[string]any) Option {
	return func(spec map[string]any) { spec["logger"] = fields }
}

// WithName selects the Knative Service of that name.
func WithName(name string) Option {
	return withSubject("name", name)
}

// WithSelector selects Knative Services by their labels.
func WithSelector(selector metav1.LabelSelector) Option {
	return withSubject("selector", selector)
}

func withSubject(field string, value any) Option {
	return func(spec map[string]any) {
		spec["subject"] = map[string]any{"apiVersion": "serving.knative.dev/v1", "kind": "Service", field: value}
	}
}

// Install applies a LoggerBinding. It needs WithName or WithSelector.
func Install(name string, options ...Option) feature.StepFn {
	spec := map[string]any{"logger": map[string]any{}}
	for _, option := range options {
		option(spec)
	}
	return func(ctx context.Context, t feature.T) {
		text, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := manifest.InstallYamlFS(ctx, templates, map[string]any{"name": name, "spec": string(text)}); err != nil {
			t.Fatal(err)
		}
	}
}

// GVR is the resource of LoggerBindings.
func GVR() schema.GroupVersionResource {
	return v1alpha1.SchemeGroupVersion.WithResource("loggerbindings")
}

func client(ctx context.Context) dynamic.ResourceInterface {
	return dynamicclient.Get(ctx).Resource(GVR()).Namespace(environment.FromContext(ctx).Namespace())
}

// Get reads a LoggerBinding.
func Get(ctx context.Context, name string) (*v1alpha1.LoggerBinding, error) {
	object, err := client(ctx).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	data, err := object.MarshalJSON()
	if err != nil {
		return nil, err
	}
	binding := new(v1alpha1.LoggerBinding)
	return binding, json.Unmarshal(data, binding)
}

// Subject gives the status of one Knative Service of a binding; nil if the
// binding's status doesn't have it.
func Subject(ctx context.Context, name, service string) (*v1alpha1.SubjectStatus, error) {
	binding, err := Get(ctx, name)
	if err != nil {
		return nil, err
	}
	for i := range binding.Status.Subjects {
		if binding.Status.Subjects[i].Name == service {
			return &binding.Status.Subjects[i], nil
		}
	}
	return nil, nil
}

// Delete deletes a LoggerBinding.
func Delete(ctx context.Context, name string) error {
	return client(ctx).Delete(ctx, name, metav1.DeleteOptions{})
}
