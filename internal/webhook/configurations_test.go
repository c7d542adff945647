/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"
	"slices"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	vwhinformer "knative.dev/pkg/client/injection/kube/informers/admissionregistration/v1/validatingwebhookconfiguration"
	"knative.dev/pkg/configmap"
	secretinformer "knative.dev/pkg/injection/clients/namespacedkube/informers/core/v1/secret"
	pkgreconciler "knative.dev/pkg/reconciler"
	reconcilertesting "knative.dev/pkg/reconciler/testing"
	"knative.dev/pkg/system"
	knativewebhook "knative.dev/pkg/webhook"
	certresources "knative.dev/pkg/webhook/certificates/resources"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"

	_ "knative.dev/pkg/client/injection/kube/informers/admissionregistration/v1/mutatingwebhookconfiguration/fake"
	_ "knative.dev/pkg/client/injection/kube/informers/admissionregistration/v1/validatingwebhookconfiguration/fake"
	_ "knative.dev/pkg/injection/clients/namespacedkube/informers/core/v1/secret/fake"
	_ "knative.dev/pkg/system/testing"
)

// While the webhook is down, an object can be deleted, and the controller can
// write a status.
func TestTheWebhookValidatesNoDeletionAndNoStatus(t *testing.T) {
	const name = "validation.webhook.serving.kubeflow.org"
	ctx, _ := reconcilertesting.SetupFakeContext(t, func(ctx context.Context) context.Context {
		return knativewebhook.WithOptions(ctx, knativewebhook.Options{ServiceName: "webhook", SecretName: "webhook-certs"})
	})
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name:            name,
			ClientConfig:    admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Name: "webhook"}},
			MatchConditions: []admissionregistrationv1.MatchCondition{{Name: "kept", Expression: "true"}},
		}},
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system.Namespace()}}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "webhook-certs", Namespace: system.Namespace()}, Data: map[string][]byte{certresources.CACert: []byte("ca")}}
	client := kubeclient.Get(ctx)
	for _, err := range []error{
		vwhinformer.Get(ctx).Informer().GetIndexer().Add(configuration),
		secretinformer.Get(ctx).Informer().GetIndexer().Add(secret),
		func() error {
			_, err := client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
			return err
		}(),
		func() error {
			_, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, configuration, metav1.CreateOptions{})
			return err
		}(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	impl := NewValidationController(ctx, configmap.NewStaticWatcher(
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.LoggerConfigName}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.AgentConfigName}, Data: map[string]string{"image": "agent"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.ObservabilityConfigName()}},
	))
	if err := impl.Reconciler.(pkgreconciler.LeaderAware).Promote(pkgreconciler.UniversalBucket(), func(pkgreconciler.Bucket, types.NamespacedName) {}); err != nil {
		t.Fatal(err)
	}
	if err := impl.Reconciler.Reconcile(ctx, name); err != nil {
		t.Fatal(err)
	}
	written, err := client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rules := written.Webhooks[0].Rules
	if len(rules) != 2 {
		t.Fatalf("rules: %+v", rules)
	}
	for i, resource := range []string{"loggerbindings", "inferenceservices"} {
		if want := []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}; !slices.Equal(rules[i].Operations, want) {
			t.Errorf("operations %v, want %v", rules[i].Operations, want)
		}
		if want := []string{resource}; !slices.Equal(rules[i].Resources, want) {
			t.Errorf("resources %v, want %v", rules[i].Resources, want)
		}
	}
	// The manifest's conditions keep /status away from the defaulting webhook,
	// whose rules knative.dev/pkg writes.
	if conditions := written.Webhooks[0].MatchConditions; len(conditions) != 1 {
		t.Errorf("the manifest's conditions became %v", conditions)
	}
}
