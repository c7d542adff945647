/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/injection"
	"knative.dev/pkg/injection/clients/namespacedkube/informers/factory"
	"knative.dev/pkg/system"
)

// SecretName is the Secret with the webhook's certificate.
const SecretName = "webhook-certs"

// FollowOneSecret has every informer of Secrets follow the webhook's
// certificate alone: knative.dev/pkg would list all Secrets of the system
// namespace, and so would need the permission to read them.
func FollowOneSecret() {
	injection.Default.RegisterInformerFactory(withSecretFactory)
}

// withSecretFactory replaces the factory that knative.dev/pkg registered when
// its package was loaded. Of that factory the webhook uses Secrets only.
func withSecretFactory(ctx context.Context) context.Context {
	return context.WithValue(ctx, factory.Key{},
		informers.NewSharedInformerFactoryWithOptions(kubeclient.Get(ctx), controller.GetResyncPeriod(ctx),
			informers.WithNamespace(system.Namespace()),
			informers.WithTweakListOptions(func(options *metav1.ListOptions) {
				options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, SecretName).String()
			})))
}
