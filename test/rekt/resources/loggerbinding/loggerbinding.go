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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	"knative.dev/reconciler-test/pkg/manifest"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	typedv1alpha1 "github.com/sidenote-dev/sidenote/pkg/client/clientset/versioned/typed/bindings/v1alpha1"
	sidenoteclient "github.com/sidenote-dev/sidenote/pkg/client/injection/client"
	"github.com/sidenote-dev/sidenote/test/rekt/flow"
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
		if _, err := manifest.InstallYamlFS(ctx, templates, map[string]any{"name": name, "spec": flow.Style(t, spec)}); err != nil {
			t.Fatal(err)
		}
	}
}

func client(ctx context.Context) typedv1alpha1.LoggerBindingInterface {
	return sidenoteclient.Get(ctx).BindingsV1alpha1().LoggerBindings(environment.FromContext(ctx).Namespace())
}

// Get reads a LoggerBinding.
func Get(ctx context.Context, name string) (*v1alpha1.LoggerBinding, error) {
	return client(ctx).Get(ctx, name, metav1.GetOptions{})
}

// Update changes a LoggerBinding.
func Update(ctx context.Context, name string, change func(*v1alpha1.LoggerBinding)) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		binding, err := Get(ctx, name)
		if err != nil {
			return err
		}
		change(binding)
		_, err = client(ctx).Update(ctx, binding, metav1.UpdateOptions{})
		return err
	})
}

// Subject returns the status of one Knative Service of a binding; nil if the
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
