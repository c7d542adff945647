/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	servingclient "knative.dev/serving/pkg/client/injection/client"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/knativeservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/loggerbinding"
)

// include labels the namespace of a feature for bindings.
func include(ctx context.Context, t feature.T) {
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:"true"}}}`, bindings.IncludeLabelKey)
	if _, err := kubeclient.Get(ctx).CoreV1().Namespaces().Patch(ctx, environment.FromContext(ctx).Namespace(),
		types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// inOrder makes one step of several: the steps of a phase run at the same time.
func inOrder(steps ...feature.StepFn) feature.StepFn {
	return func(ctx context.Context, t feature.T) {
		for _, step := range steps {
			step(ctx, t)
		}
	}
}

// bind applies a LoggerBinding and waits until it knows the address of its
// sink.
func bind(ctx context.Context, t feature.T, name string, options ...loggerbinding.Option) {
	loggerbinding.Install(name, options...)(ctx, t)
	eventually(ctx, t, "the sink of the binding "+name, func(ctx context.Context) error {
		binding, err := loggerbinding.Get(ctx, name)
		if err != nil {
			return err
		}
		if binding.Status.Logger == nil || binding.Status.Logger.SinkURI == nil {
			return fmt.Errorf("status.logger names none; its conditions are %v", binding.Status.Conditions)
		}
		return nil
	})
}

// awaitSubject waits until a binding says so of a Knative Service.
func awaitSubject(ctx context.Context, t feature.T, binding, service string, state v1alpha1.SubjectState, reason string) {
	eventually(ctx, t, fmt.Sprintf("the binding %s to say that %s is %s", binding, service, state), func(ctx context.Context) error {
		subject, err := loggerbinding.Subject(ctx, binding, service)
		switch {
		case err != nil:
			return err
		case subject == nil:
			return fmt.Errorf("it doesn't name it")
		case subject.State != state || reason != "" && string(subject.Reason) != reason:
			return fmt.Errorf("it says %s, %s: %s", subject.State, subject.Reason, subject.Message)
		}
		return nil
	})
}

// templateOf returns the template of a Knative Service as JSON.
func templateOf(ctx context.Context, t feature.T, name string) string {
	service, err := knativeservice.Get(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(service.Spec.Template)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func isAgent(container corev1.Container) bool {
	return container.Name == v1beta1.AgentContainerName
}

// hasAgent returns an error unless a Knative Service is ready with a Revision of
// its template, which has the agent as wanted.
func hasAgent(ctx context.Context, name string, want bool) error {
	service, err := knativeservice.Get(ctx, name)
	if err != nil {
		return err
	}
	if got := slices.ContainsFunc(service.Spec.Template.Spec.Containers, isAgent); got != want {
		return fmt.Errorf("the template of %s has an agent: %t", name, got)
	}
	if !service.IsReady() || service.Generation != service.Status.ObservedGeneration {
		return fmt.Errorf("%s is not ready: %v", name, service.Status.Conditions)
	}
	return nil
}

func awaitAgent(ctx context.Context, t feature.T, name string, want bool) {
	eventually(ctx, t, fmt.Sprintf("%s to be ready and to have an agent: %t", name, want), func(ctx context.Context) error {
		return hasAgent(ctx, name, want)
	})
}

// revisionsOf lists the names of the Revisions of a Knative Service.
func revisionsOf(ctx context.Context, name string) ([]string, error) {
	list, err := servingclient.Get(ctx).ServingV1().Revisions(environment.FromContext(ctx).Namespace()).List(ctx, metav1.ListOptions{
		LabelSelector: "serving.knative.dev/service=" + name,
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

// awaitServiceRevisions waits until a Knative Service has that many Revisions, and
// fails the step if it has more.
func awaitServiceRevisions(ctx context.Context, t feature.T, name string, want int) {
	eventually(ctx, t, "the Revisions of "+name, func(ctx context.Context) error {
		revisions, err := revisionsOf(ctx, name)
		if err != nil {
			return err
		}
		if len(revisions) > want {
			t.Fatalf("%s has the Revisions %v, want %d", name, revisions, want)
		}
		return expect("their number", len(revisions), want)
	})
}
