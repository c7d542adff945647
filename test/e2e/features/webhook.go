/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"knative.dev/eventing/test/rekt/resources/broker"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/injection/clients/dynamicclient"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

const webhookDeployment = "webhook"

// WithoutTheWebhook tests that an InferenceService gets its status, and can be
// deleted, while no replica of the webhook runs. Nothing else may run beside
// it.
func WithoutTheWebhook() *feature.Feature {
	const service, broken = "without-webhook", "a-sink-that-is-missing"
	f := feature.NewFeatureNamed("no webhook")
	addService(f, service, inferenceservice.WithLogger(map[string]any{"sink": map[string]any{
		"ref": map[string]any{"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": broken},
	}}))
	f.Assert("a status is written, and a deletion ends", func(ctx context.Context, t feature.T) {
		awaitCondition(ctx, t, service, v1beta1.SinkResolved, corev1.ConditionFalse)
		scale := func(ctx context.Context, replicas int32) {
			deployments := kubeclient.Get(ctx).AppsV1().Deployments(systemNamespace)
			if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				deployment, err := deployments.Get(ctx, webhookDeployment, metav1.GetOptions{})
				if err != nil {
					return err
				}
				deployment.Spec.Replicas = &replicas
				_, err = deployments.Update(ctx, deployment, metav1.UpdateOptions{})
				return err
			}); err != nil {
				t.Fatal(err)
			}
			eventually(ctx, t, fmt.Sprintf("%d replicas of the webhook", replicas), func(ctx context.Context) error {
				deployment, err := deployments.Get(ctx, webhookDeployment, metav1.GetOptions{})
				if err != nil {
					return err
				}
				if got := deployment.Status; got.Replicas != replicas || got.ReadyReplicas != replicas {
					return fmt.Errorf("%d of %d replicas are ready", got.ReadyReplicas, got.Replicas)
				}
				return nil
			})
		}

		namespaces := kubeclient.Get(ctx).CoreV1().Namespaces()
		ending := environment.FromContext(ctx).Namespace() + "-ends"
		if _, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ending}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := dynamicclient.Get(ctx).Resource(inferenceservice.GVR()).Namespace(ending).Create(ctx, example("ends", nil, nil, nil), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		scale(ctx, 0)
		defer func(ctx context.Context) {
			scale(ctx, 2)
			// A replica is ready some time before the Service's address leads to it.
			eventually(ctx, t, "the webhook to respond", func(ctx context.Context) error {
				_, err := inferenceServices(ctx).Create(ctx, example("dry-run", nil, nil, nil), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				return err
			})
		}(context.WithoutCancel(ctx))

		// Its sink appears, and the controller says so.
		broker.Install(broken, broker.WithEnvConfig()...)(ctx, t)
		awaitCondition(ctx, t, service, v1beta1.SinkResolved, corev1.ConditionTrue)

		// Foreground: the object waits for what it owns, and then an update
		// removes its finalizer.
		foreground := metav1.DeletePropagationForeground
		if err := inferenceServices(ctx).Delete(ctx, service, metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "the InferenceService to be gone", func(ctx context.Context) error {
			_, err := inferenceServices(ctx).Get(ctx, service, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("it is there still: %w", err)
		})

		if err := namespaces.Delete(ctx, ending, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "a namespace with an InferenceService to be gone", func(ctx context.Context) error {
			_, err := namespaces.Get(ctx, ending, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("it is there still: %w", err)
		})
	})
	return f
}
