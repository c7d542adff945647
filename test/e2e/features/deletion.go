/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
	servingclient "knative.dev/serving/pkg/client/injection/client"

	sidenoteclient "github.com/sidenote-dev/sidenote/pkg/client/injection/client"
	"github.com/sidenote-dev/sidenote/test/ingress"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// Deletion tests that nothing of an InferenceService is left when it is deleted,
// and nothing of another one is touched.
func Deletion() *feature.Feature {
	const service, other = "going", "staying"
	f := feature.NewFeatureNamed("deletion")
	addBroker(f)
	live := inferenceservice.WithLogger(map[string]any{"metadataAnnotations": []string{"team"}, "metadataRefresh": "Live"})
	annotated := inferenceservice.WithAnnotations(map[string]string{"team": "x"})
	addService(f, service, annotated, live)
	addService(f, other, annotated, live)
	f.Assert("it leaves nothing", func(ctx context.Context, t feature.T) {
		model, err := modelURL(ctx, service)
		if err != nil {
			t.Fatal(err)
		}
		predictOnce(ctx, t, service)
		namespace := environment.FromContext(ctx).Namespace()
		if err := sidenoteclient.Get(ctx).ServingV1beta1().InferenceServices(namespace).Delete(ctx, service, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(ctx, t, "everything of it to be gone", func(ctx context.Context) error { return gone(ctx, service) })
		status, _, err := post(ctx, ingress.NewHTTPClient(), model, "/v1/models/m:predict", instances, nil)
		if err == nil && status == http.StatusOK {
			t.Errorf("the model still responds at %s", model)
		}
		predictOnce(ctx, t, other)
	})
	return f
}

// gone returns an error that names what is left of an InferenceService.
func gone(ctx context.Context, name string) error {
	namespace := environment.FromContext(ctx).Namespace()
	child := inferenceservice.ServiceName(name)
	_, err := servingclient.Get(ctx).ServingV1().Services(namespace).Get(ctx, child, metav1.GetOptions{})
	if err == nil {
		return fmt.Errorf("the Knative Service %s is there", child)
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("reading the Knative Service %s: %w", child, err)
	}
	revisions, err := inferenceservice.Revisions(ctx, name)
	if err != nil {
		return fmt.Errorf("listing Revisions: %w", err)
	}
	if len(revisions) > 0 {
		return fmt.Errorf("the Revisions %v are there", revisions)
	}
	pods, err := kubeclient.Get(ctx).CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "serving.knative.dev/service=" + child})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	if len(pods.Items) > 0 {
		return fmt.Errorf("%d pods are there", len(pods.Items))
	}
	configMaps, err := kubeclient.Get(ctx).CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range configMaps.Items {
		for _, owner := range configMaps.Items[i].OwnerReferences {
			if owner.Kind == "InferenceService" && owner.Name == name {
				return fmt.Errorf("the ConfigMap %s is there", configMaps.Items[i].Name)
			}
		}
	}
	return nil
}
