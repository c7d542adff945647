/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package webhook

import (
	"context"
	"testing"

	clienttesting "k8s.io/client-go/testing"
	fakekubeclient "knative.dev/pkg/client/injection/kube/client/fake"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/injection"
	"knative.dev/pkg/injection/clients/namespacedkube/informers/factory"
	reconcilertesting "knative.dev/pkg/reconciler/testing"
	"knative.dev/pkg/system"
)

// The webhook's role permits it to list and watch one Secret by its name, which
// the API server takes only of a request with that name as a field selector.
func TestTheWebhookFollowsItsOwnSecretOnly(t *testing.T) {
	ctx, _ := reconcilertesting.SetupFakeContext(t)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	FollowOneSecret()
	for _, with := range injection.Default.GetInformerFactories() {
		ctx = with(ctx)
	}
	secrets := factory.Get(ctx).Core().V1().Secrets().Informer()
	if err := controller.StartInformers(ctx.Done(), secrets); err != nil {
		t.Fatal(err)
	}
	listed := 0
	for _, action := range fakekubeclient.Get(ctx).Actions() {
		list, isList := action.(clienttesting.ListAction)
		if !isList || action.GetResource().Resource != "secrets" {
			continue
		}
		listed++
		if got := list.GetListRestrictions().Fields.String(); got != "metadata.name=webhook-certs" || list.GetNamespace() != system.Namespace() {
			t.Errorf("Secrets of %q are listed with the fields %q", list.GetNamespace(), got)
		}
	}
	if listed == 0 {
		t.Error("no Secret is listed")
	}
}
