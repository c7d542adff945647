/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	admissionlisters "k8s.io/client-go/listers/admissionregistration/v1"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	mwhinformer "knative.dev/pkg/client/injection/kube/informers/admissionregistration/v1/mutatingwebhookconfiguration"
	"knative.dev/pkg/controller"
	secretinformer "knative.dev/pkg/injection/clients/namespacedkube/informers/core/v1/secret"
	"knative.dev/pkg/logging"
	pkgreconciler "knative.dev/pkg/reconciler"
	"knative.dev/pkg/system"
	certresources "knative.dev/pkg/webhook/certificates/resources"
)

// caBundle keeps the certificate authority in a MutatingWebhookConfiguration, by
// which the API server knows this webhook, and has the configuration go with
// Sidenote's namespace. The manifest has the rest: the reconcilers of
// knative.dev/pkg would write rules that include the status.
type caBundle struct {
	pkgreconciler.LeaderAwareFuncs
	// key is the name of the configuration, and of its webhook.
	key            types.NamespacedName
	client         kubernetes.Interface
	configurations admissionlisters.MutatingWebhookConfigurationLister
	secrets        corev1listers.SecretLister
}

func newCABundle(ctx context.Context, name string) *caBundle {
	key := types.NamespacedName{Name: name}
	return &caBundle{
		LeaderAwareFuncs: pkgreconciler.LeaderAwareFuncs{
			PromoteFunc: func(bucket pkgreconciler.Bucket, enqueue func(pkgreconciler.Bucket, types.NamespacedName)) error {
				enqueue(bucket, key)
				return nil
			},
		},
		key:            key,
		client:         kubeclient.Get(ctx),
		configurations: mwhinformer.Get(ctx).Lister(),
		secrets:        secretinformer.Get(ctx).Lister(),
	}
}

// servicesQueue is the name of the work queue, in metrics and in a Lease.
const servicesQueue = "ServicesWebhook"

// newController makes the controller of an admission that keeps this bundle.
func (b *caBundle) newController(ctx context.Context, admission controller.Reconciler) *controller.Impl {
	impl := controller.NewContext(ctx, admission, controller.ControllerOptions{
		WorkQueueName: servicesQueue, Logger: logging.FromContext(ctx).Named(servicesQueue),
	})
	// Whatever is enqueued, the one configuration is reconciled.
	mwhinformer.Get(ctx).Informer().AddEventHandler(cache.FilteringResourceEventHandler{
		FilterFunc: controller.FilterWithName(b.key.Name),
		Handler:    controller.HandleAll(impl.Enqueue),
	})
	secretinformer.Get(ctx).Informer().AddEventHandler(cache.FilteringResourceEventHandler{
		FilterFunc: controller.FilterWithNameAndNamespace(system.Namespace(), SecretName),
		Handler:    controller.HandleAll(impl.Enqueue),
	})
	return impl
}

// Reconcile implements controller.Reconciler.
func (b *caBundle) Reconcile(ctx context.Context, key string) error {
	if !b.IsLeaderFor(b.key) {
		return controller.NewSkipKey(key)
	}
	secret, err := b.secrets.Secrets(system.Namespace()).Get(SecretName)
	if err != nil {
		return fmt.Errorf("get the Secret %q: %w", SecretName, err)
	}
	authority := secret.Data[certresources.CACert]
	if len(authority) == 0 {
		return fmt.Errorf("the Secret %q has no %s yet", SecretName, certresources.CACert)
	}
	configuration, err := b.configurations.Get(b.key.Name)
	if err != nil {
		return fmt.Errorf("get the MutatingWebhookConfiguration %q: %w", b.key.Name, err)
	}
	namespace, err := b.client.CoreV1().Namespaces().Get(ctx, system.Namespace(), metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get the namespace %q: %w", system.Namespace(), err)
	}
	desired := configuration.DeepCopy()
	desired.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "v1", Kind: "Namespace", Name: namespace.Name, UID: namespace.UID,
	}}
	for i := range desired.Webhooks {
		desired.Webhooks[i].ClientConfig.CABundle = authority
	}
	if equality.Semantic.DeepEqual(configuration, desired) {
		return nil
	}
	_, err = b.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Update(ctx, desired, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("update the MutatingWebhookConfiguration %q: %w", b.key.Name, err)
	}
	return nil
}
