/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	filteredfactory "knative.dev/pkg/client/injection/kube/informers/factory/filtered"
	"knative.dev/pkg/configmap"
	reconcilertesting "knative.dev/pkg/reconciler/testing"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"

	_ "knative.dev/pkg/client/injection/ducks/duck/v1/addressable/fake"
	_ "knative.dev/pkg/client/injection/kube/informers/core/v1/configmap/filtered/fake"
	_ "knative.dev/pkg/client/injection/kube/informers/factory/filtered/fake"
	_ "knative.dev/pkg/injection/clients/dynamicclient/fake"
	_ "knative.dev/pkg/system/testing"
	_ "knative.dev/serving/pkg/client/injection/informers/serving/v1/route/fake"
	_ "knative.dev/serving/pkg/client/injection/informers/serving/v1/service/fake"

	_ "github.com/sidenote-dev/sidenote/pkg/client/injection/informers/serving/v1beta1/inferenceservice/fake"
)

func TestTheControllerIsWiredFromItsContext(t *testing.T) {
	ctx, _ := reconcilertesting.SetupFakeContext(t, func(ctx context.Context) context.Context {
		return filteredfactory.WithSelectors(ctx, ConfigMapSelector, bindings.ServiceLabelKey)
	})
	impl := NewController(ctx, configmap.NewStaticWatcher(
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.LoggerConfigName}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.AgentConfigName}, Data: map[string]string{"image": "agent"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.ObservabilityConfigName()}},
	))
	if impl == nil || impl.Reconciler == nil {
		t.Fatal("no controller")
	}
}
