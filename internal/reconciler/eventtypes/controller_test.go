/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventtypes

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/configmap"
	reconcilertesting "knative.dev/pkg/reconciler/testing"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"

	_ "knative.dev/eventing/pkg/client/injection/client/fake"
	_ "knative.dev/pkg/system/testing"
	_ "knative.dev/serving/pkg/client/injection/informers/serving/v1/service/fake"
)

func TestTheControllerIsWiredFromItsContext(t *testing.T) {
	ctx, _ := reconcilertesting.SetupFakeContext(t)
	impl := NewController(ctx, configmap.NewStaticWatcher(
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.LoggerConfigName}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.AgentConfigName}, Data: map[string]string{"image": "agent"}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.ObservabilityConfigName()}},
	))
	if impl == nil || impl.Reconciler == nil {
		t.Fatal("no controller")
	}
}
