/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package features

import (
	"context"
	"fmt"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	"knative.dev/pkg/injection"
	"knative.dev/reconciler-test/pkg/environment"
	"knative.dev/reconciler-test/pkg/feature"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/test/rekt/resources/inferenceservice"
)

// SinksElsewhere tests who may name a sink of another namespace or of another host
// under each rule of the cluster. It changes the rules, so nothing else may run
// beside this. It takes minutes if the webhook was restarted shortly before: one that
// ends goes on responding by the rules that it had.
func SinksElsewhere() *feature.Feature {
	const tenant = "e2e-tenant"
	f := feature.NewFeatureNamed("sinks of other namespaces and hosts")
	f.Setup("a user may make InferenceServices", func(ctx context.Context, t feature.T) {
		mayMakeInferenceServices(ctx, t, tenant)
	})
	f.Assert("admission takes what the rules permit the user", func(ctx context.Context, t feature.T) {
		as := rest.CopyConfig(injection.GetConfig(ctx))
		as.Impersonate = rest.ImpersonationConfig{UserName: tenant, Groups: []string{"system:authenticated"}}
		client, err := dynamic.NewForConfig(as)
		if err != nil {
			t.Fatal(err)
		}
		asTenant := client.Resource(inferenceservice.GVR()).Namespace(environment.FromContext(ctx).Namespace())
		asAdmin := inferenceServices(ctx)
		elsewhere := fields{"sink": fields{"ref": fields{
			"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": defaultBroker, "namespace": systemNamespace,
		}}}
		const tenantsRight, setting = "may not get Broker", "cross-namespace-sinks"

		awaitAdmission(ctx, t, asTenant, elsewhere, "")
		restore := setConfig(ctx, t, config.LoggerConfigName, setting, "review")
		awaitAdmission(ctx, t, asTenant, elsewhere, tenantsRight)
		awaitAdmission(ctx, t, asAdmin, elsewhere, "")
		restore()
		restore = setConfig(ctx, t, config.LoggerConfigName, setting, "denied")
		awaitAdmission(ctx, t, asAdmin, elsewhere, setting)
		awaitAdmission(ctx, t, asTenant, nil, "")
		restore()
		awaitAdmission(ctx, t, asTenant, elsewhere, "")

		restore = setConfig(ctx, t, config.LoggerConfigName, "allowed-uri-hosts", "*.example.com")
		awaitAdmission(ctx, t, asTenant, fields{"url": "https://audit.example.org"}, "allowed-uri-hosts")
		awaitAdmission(ctx, t, asTenant, fields{"url": "https://audit.example.com"}, "")
		restore()
		awaitAdmission(ctx, t, asTenant, fields{"url": "https://audit.example.org"}, "")
	})
	return f
}

// awaitAdmission waits until admission takes a logger, or refuses it with a text.
func awaitAdmission(ctx context.Context, t feature.T, client dynamic.ResourceInterface, logger fields, refusal string) {
	eventually(ctx, t, fmt.Sprintf("admission of %v with the refusal %q", logger, refusal), func(ctx context.Context) error {
		_, err := client.Create(ctx, example("elsewhere", nil, fields{"logger": logger}, nil),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && refusal != "" {
			return fmt.Errorf("it was taken")
		}
		if err != nil && (refusal == "" || !strings.Contains(err.Error(), refusal)) {
			return err
		}
		return nil
	})
}

// mayMakeInferenceServices gives a user the right to make InferenceServices in the
// namespace, and no other right.
func mayMakeInferenceServices(ctx context.Context, t feature.T, user string) {
	client, namespace := kubeclient.Get(ctx).RbacV1(), environment.FromContext(ctx).Namespace()
	if _, err := client.Roles(namespace).Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{inferenceservice.GVR().Group}, Resources: []string{inferenceservice.GVR().Resource}, Verbs: []string{"create"}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
