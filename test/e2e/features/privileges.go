/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"knative.dev/pkg/injection"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"
)

// ControllerPrivileges tests that the API server refuses the controller's service
// account every ConfigMap that isn't one of its own, although its role permits
// them all.
func ControllerPrivileges() *feature.Feature {
	const controller = "system:serviceaccount:sidenote-system:controller"
	f := feature.NewFeatureNamed("the controller's privileges")
	f.Assert("it can't write somebody else's ConfigMap", func(ctx context.Context, t feature.T) {
		as := rest.CopyConfig(injection.GetConfig(ctx))
		as.Impersonate = rest.ImpersonationConfig{UserName: controller, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:sidenote-system", "system:authenticated"}}
		client, err := kubernetes.NewForConfig(as)
		if err != nil {
			t.Fatal(err)
		}
		configMaps := client.CoreV1().ConfigMaps(environment.FromContext(ctx).Namespace())
		theirs, err := configMaps.Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		changed := theirs.DeepCopy()
		changed.Data["ca.crt"] = ""
		_, updated := configMaps.Update(ctx, changed, metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}})
		_, created := configMaps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "anything"}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		deleted := configMaps.Delete(ctx, theirs.Name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		for verb, err := range map[string]error{"update": updated, "create": created, "delete": deleted} {
			if err == nil {
				err = errors.New("it may")
			}
			if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
				t.Errorf("%s: %v, want a refusal", verb, fmt.Errorf("of somebody else's: %w", err))
			}
		}
	})
	return f
}
