/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package loggerbinding installs LoggerBindings for features, and reads their
// state.
package loggerbinding

import (
	"context"
	"embed"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	"knative.dev/reconciler-test/pkg/manifest"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	sidenoteclient "github.com/sidenote-dev/sidenote/pkg/client/injection/client"
	"github.com/sidenote-dev/sidenote/test/rekt/flow"
)

//go:embed *.yaml
var templates embed.FS

// Option sets fields of the binding's specification.
type Option func(spec map[string]any)

// WithLogger sets the logger. Without this option nothing is set in it.
func WithLogger(logger map[string]any) Option {
	return func(spec map[string]any) { spec["logger"] = logger }
}

// WithRolloutNow changes the templates at once.
func WithRolloutNow() Option {
	return func(spec map[string]any) { spec["rollout"] = v1alpha1.RolloutNow }
}

// ToName selects a Knative Service by its name.
func ToName(name string) Option {
	return func(spec map[string]any) { spec["subject"] = subject("name", name) }
}

// ToLabel selects Knative Services by a label.
func ToLabel(key, value string) Option {
	return func(spec map[string]any) {
		spec["subject"] = subject("selector", map[string]any{"matchLabels": map[string]string{key: value}})
	}
}

func subject(field string, value any) map[string]any {
	return map[string]any{"apiVersion": "serving.knative.dev/v1", "kind": "Service", field: value}
}

// Install applies a LoggerBinding.
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

// IncludeNamespace opts the environment's namespace in.
func IncludeNamespace(ctx context.Context, t feature.T) {
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:"true"}}}`, bindings.IncludeLabelKey)
	if _, err := kubeclient.Get(ctx).CoreV1().Namespaces().
		Patch(ctx, environment.FromContext(ctx).Namespace(), types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Get reads a LoggerBinding.
func Get(ctx context.Context, name string) (*v1alpha1.LoggerBinding, error) {
	return sidenoteclient.Get(ctx).BindingsV1alpha1().LoggerBindings(environment.FromContext(ctx).Namespace()).Get(ctx, name, metav1.GetOptions{})
}

// Update changes a LoggerBinding.
func Update(ctx context.Context, name string, change func(*v1alpha1.LoggerBinding)) error {
	client := sidenoteclient.Get(ctx).BindingsV1alpha1().LoggerBindings(environment.FromContext(ctx).Namespace())
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		binding, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(binding)
		_, err = client.Update(ctx, binding, metav1.UpdateOptions{})
		return err
	})
}

// Delete deletes a LoggerBinding.
func Delete(ctx context.Context, name string) error {
	err := sidenoteclient.Get(ctx).BindingsV1alpha1().LoggerBindings(environment.FromContext(ctx).Namespace()).Delete(ctx, name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Says returns an error unless the binding's status has that state and reason
// for a Knative Service. An empty reason stands for any.
func Says(ctx context.Context, name, service string, state v1alpha1.SubjectState, reason string) error {
	binding, err := Get(ctx, name)
	if err != nil {
		return err
	}
	for _, subject := range binding.Status.Subjects {
		if subject.Name != service {
			continue
		}
		if subject.State != state || (reason != "" && subject.Reason != reason) {
			return fmt.Errorf("%s is %s, %s: %s; want %s, %s", service, subject.State, subject.Reason, subject.Message, state, reason)
		}
		return nil
	}
	return fmt.Errorf("the status of %s has no subject %s, but %v", name, service, binding.Status.Subjects)
}
