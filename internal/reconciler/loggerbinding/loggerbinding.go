/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"knative.dev/pkg/controller"
	pkgreconciler "knative.dev/pkg/reconciler"
	"knative.dev/pkg/resolver"
	servingclientset "knative.dev/serving/pkg/client/clientset/versioned"
	servingv1listers "knative.dev/serving/pkg/client/listers/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/reconciler/conditions"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/trustbundles"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	loggerbindingreconciler "github.com/sidenote-dev/sidenote/pkg/client/injection/reconciler/bindings/v1alpha1/loggerbinding"
	v1alpha1listers "github.com/sidenote-dev/sidenote/pkg/client/listers/bindings/v1alpha1"
)

// Reconciler makes the state of the cluster that of a LoggerBinding.
type Reconciler struct {
	kube            kubernetes.Interface
	serving         servingclientset.Interface
	bindingLister   v1alpha1listers.LoggerBindingLister
	serviceLister   servingv1listers.ServiceLister
	namespaceLister corev1listers.NamespaceLister
	// configMapLister and sharedLister return fingerprints: of the ConfigMaps of
	// bound Knative Services, and of those that a namespace shares.
	configMapLister, sharedLister corev1listers.ConfigMapLister
	readers                       configmaps.Readers
	resolver                      *resolver.URIResolver
	trustBundles                  *trustbundles.Bundles
}

var (
	_ loggerbindingreconciler.Interface = (*Reconciler)(nil)
	_ pkgreconciler.OnDeletionInterface = (*Reconciler)(nil)
)

// ReconcileKind implements the generated Interface.
func (r *Reconciler) ReconcileKind(ctx context.Context, b *v1alpha1.LoggerBinding) pkgreconciler.Event {
	platform, err := r.platform(ctx)
	if err != nil {
		return err
	}
	live, err := r.live(ctx, b, platform)
	if err != nil || live.NamespaceEnds {
		return err
	}
	before := b.Status.Status.DeepCopy()
	err = r.apply(ctx, b, Plan(b, live, platform), live.NamespaceIncluded)
	for _, event := range conditions.Transitions(before, &b.Status.Status,
		v1alpha1.SinkResolved, v1alpha1.DeadLetterSinkResolved, v1alpha1.SubjectsBound, v1alpha1.MetadataReady, v1alpha1.TrustReady) {
		controller.GetEventRecorder(ctx).Event(b, event.Type, event.Reason, event.Message)
	}
	return err
}

// ObserveDeletion implements reconciler.OnDeletionInterface: the Knative Services
// of a binding that doesn't exist any more lose the agent. It is called for a key
// that no binding has, so an event of a Knative Service that has lost its agent
// leads here, too.
func (r *Reconciler) ObserveDeletion(ctx context.Context, key types.NamespacedName) error {
	platform, err := r.platform(ctx)
	if err != nil {
		return err
	}
	live, err := r.liveNamespace(key.Namespace)
	if err != nil || live.NamespaceEnds {
		return err
	}
	return r.applyDeletion(ctx, PlanDeletion(key.Namespace, key.Name, live, platform))
}
