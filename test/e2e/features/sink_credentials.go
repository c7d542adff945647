/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"encoding/base64"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/subscriber"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/tlsfront"
)

// SinkCredentials tests that sinks by URL get the static credentials of a Secret, and
// new ones without a Revision. The agent reads them once in a minute.
func SinkCredentials() *feature.Feature {
	const service, at, front = "with-credentials", "behind", "front"
	const tokens, login = "audit-store", "audit-login"
	f := feature.NewFeatureNamed("static credentials of sinks")
	f.Setup("there are Secrets", func(ctx context.Context, t feature.T) {
		for name, data := range map[string]map[string]string{
			tokens: {"token": "first"}, login: {"username": "audit", "password": "a pass:word"},
		} {
			if _, err := secrets(ctx).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	})
	addFront(f, front, at, service, func(ctx context.Context, authority *tlsfront.Authority) map[string]any {
		to := func(path string) map[string]any {
			return map[string]any{"uri": tlsfront.URL(ctx, front) + path, "CACerts": authority.PEM()}
		}
		// A subscriber records five events a second at most.
		return map[string]any{"mode": "response", "sinks": []map[string]any{
			{"name": "bearer", "sink": to("/bearer"), "auth": map[string]any{"bearer": map[string]string{"name": tokens, "key": "token"}}},
			{"name": "basic", "sink": to("/basic"), "auth": map[string]any{"basic": map[string]string{"name": login}}},
		}}
	}, []inferenceservice.Option{inferenceservice.WithPredictor("minReplicas", 1)})
	f.Assert("the events carry them", func(ctx context.Context, t feature.T) {
		predictUntilAuthorized(ctx, t, service, at, "Basic "+base64.StdEncoding.EncodeToString([]byte("audit:a pass:word")))
		predictUntilAuthorized(ctx, t, service, at, "Bearer first")
		secret, err := secrets(ctx).Get(ctx, tokens, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		secret.Data["token"] = []byte("second")
		if _, err := secrets(ctx).Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		predictUntilAuthorized(ctx, t, service, at, "Bearer second")
		awaitRevisions(ctx, t, service, 1)
	})
	return f
}

func secrets(ctx context.Context) typedcorev1.SecretInterface {
	return kubeclient.Get(ctx).CoreV1().Secrets(environment.FromContext(ctx).Namespace())
}

// predictUntilAuthorized repeats a prediction until a subscriber got an event with an
// Authorization header.
func predictUntilAuthorized(ctx context.Context, t feature.T, service, at, authorization string) {
	eventually(ctx, t, "an event with credentials", func(ctx context.Context) error {
		syncPods(ctx, t, service)
		predictOnce(ctx, t, service)
		if !subscriber.HasHeader(ctx, at, "Authorization", authorization) {
			return fmt.Errorf("there is none")
		}
		return nil
	})
}
