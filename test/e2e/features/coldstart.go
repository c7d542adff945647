/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// ColdStart tests that requests to a model without a pod wait for it, however
// slow it is: once until it listens, once until its own readiness probe
// succeeds.
func ColdStart() *feature.Feature {
	f := feature.NewFeatureNamed("a slow model scaled from zero")
	addBroker(f)
	soon := inferenceservice.WithAnnotations(map[string]string{
		"autoscaling.knative.dev/window":                             "6s",
		"autoscaling.knative.dev/scale-to-zero-pod-retention-period": "0s",
	})
	addService(f, "slow-to-listen", soon, inferenceservice.WithEnv("MODEL_LISTEN_DELAY", "5s"))
	addService(f, "slow-to-load", soon, inferenceservice.WithEnv("MODEL_LOAD_DELAY", "5s"),
		inferenceservice.WithContainer("readinessProbe", map[string]any{"httpGet": map[string]any{"path": "/v2/health/ready", "port": 8080}}))
	for _, service := range []string{"slow-to-listen", "slow-to-load"} {
		f.Assert("requests to "+service+" wait and succeed", func(ctx context.Context, t feature.T) {
			awaitNoPods(ctx, t, service)
			model, err := modelURL(ctx, service)
			if err != nil {
				t.Fatal(err)
			}
			const clients = 8
			var (
				requests sync.WaitGroup
				errs     [clients]error
			)
			for i := range clients {
				requests.Go(func() { errs[i] = predict(ctx, ingress.NewHTTPClient(), model, newRequestID()) })
			}
			requests.Wait()
			for _, err := range errs {
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	return f
}

// awaitNoPods waits until an InferenceService is scaled to zero.
func awaitNoPods(ctx context.Context, t feature.T, name string) {
	awaitServiceWithoutPods(ctx, t, inferenceservice.ServiceName(name))
}

// awaitServiceWithoutPods waits until a Knative Service is scaled to zero.
func awaitServiceWithoutPods(ctx context.Context, t feature.T, name string) {
	eventually(ctx, t, name+" to be scaled to zero", func(ctx context.Context) error {
		deployments, err := kubeclient.Get(ctx).AppsV1().Deployments(environment.FromContext(ctx).Namespace()).List(ctx, metav1.ListOptions{
			LabelSelector: "serving.knative.dev/service=" + name,
		})
		if err != nil {
			return err
		}
		for i := range deployments.Items {
			if replicas := deployments.Items[i].Status.Replicas; replicas != 0 {
				return fmt.Errorf("%s has %d replicas", deployments.Items[i].Name, replicas)
			}
		}
		return nil
	})
}
