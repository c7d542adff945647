/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/tlsfront"
)

// SinkCACerts tests that events go over TLS to a sink whose authority the sink's
// CACerts name.
func SinkCACerts() *feature.Feature {
	const service, at, front = "over-tls", "behind", "front"
	f := feature.NewFeatureNamed("a sink with CACerts")
	addFront(f, front, at, service, func(ctx context.Context, authority *tlsfront.Authority) map[string]any {
		return map[string]any{"sink": map[string]any{"uri": tlsfront.URL(ctx, front), "CACerts": authority.PEM()}}
	}, nil)
	f.Assert("the events arrive over TLS", func(ctx context.Context, t feature.T) {
		predictUntilSeen(ctx, t, service, at)
		if err := oneExchange(eventsOf(ctx, t, service, at, requestType, responseType)); err != nil {
			t.Error(err)
		}
	})
	return f
}

// TrustBundle tests that an authority which only a trust bundle of the cluster
// names reaches an agent that runs: what it couldn't send before arrives.
func TrustBundle() *feature.Feature {
	const service, at, front = "trusting", "behind", "front"
	f := feature.NewFeatureNamed("a trust bundle of the cluster")
	var pem string
	addFront(f, front, at, service, func(ctx context.Context, authority *tlsfront.Authority) map[string]any {
		pem = authority.PEM()
		return map[string]any{"sink": map[string]any{"uri": tlsfront.URL(ctx, front)}}
	}, []inferenceservice.Option{inferenceservice.WithPredictor("minReplicas", 1)})
	f.Assert("the events arrive once it is there", func(ctx context.Context, t feature.T) {
		requestID := predictOnce(ctx, t, service)
		if events := subscriber.Events(ctx, at); len(events) != 0 {
			t.Fatalf("without the authority arrived %v", events)
		}
		setTrustBundle(ctx, t, pem)
		awaitCondition(ctx, t, service, v1beta1.TrustReady, corev1.ConditionTrue)
		// The kubelet passes it on, and the agent tries again.
		awaitTypes(ctx, t, at, requestID, []string{requestType, responseType})
		awaitRevisions(ctx, t, service, 1)
	})
	f.Teardown("the trust bundle goes", func(ctx context.Context, t feature.T) {
		if err := trustBundle(ctx).Delete(ctx, environment.FromContext(ctx).Namespace(), metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	return f
}

// addFront gives a feature a subscriber behind TLS and an InferenceService
// that sends to it.
func addFront(f *feature.Feature, front, at, service string, logger func(context.Context, *tlsfront.Authority) map[string]any, options []inferenceservice.Option) {
	f.Setup("there is a subscriber", subscriber.Install(at))
	f.Setup("there is an InferenceService that sends to it over TLS", func(ctx context.Context, t feature.T) {
		authority, err := tlsfront.NewAuthority()
		if err != nil {
			t.Fatal(err)
		}
		tlsfront.Install(front, at, authority)(ctx, t)
		inferenceservice.Install(service, append(options, inferenceservice.WithLogger(logger(ctx, authority)))...)(ctx, t)
	})
	f.Requirement("the InferenceService responds", responds(service))
}

// trustBundle reads and writes the ConfigMaps of Eventing's namespace, where a
// feature's bundle is named as the feature's own namespace.
func trustBundle(ctx context.Context) typedcorev1.ConfigMapInterface {
	return kubeclient.Get(ctx).CoreV1().ConfigMaps("knative-eventing")
}

func setTrustBundle(ctx context.Context, t feature.T, pem string) {
	if _, err := trustBundle(ctx).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name:   environment.FromContext(ctx).Namespace(),
			Labels: map[string]string{"networking.knative.dev/trust-bundle": "true"},
		},
		Data: map[string]string{"ca.crt": pem},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
