/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"knative.dev/pkg/controller"
	pkgreconciler "knative.dev/pkg/reconciler"
	"knative.dev/pkg/resolver"
	servingclientset "knative.dev/serving/pkg/client/clientset/versioned"
	servingv1listers "knative.dev/serving/pkg/client/listers/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/stages"
	"github.com/sidenote-dev/sidenote/internal/reconciler/trustbundles"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	inferenceservicereconciler "github.com/sidenote-dev/sidenote/pkg/client/injection/reconciler/serving/v1beta1/inferenceservice"
)

// Reconciler makes the state of the cluster that of an InferenceService.
type Reconciler struct {
	kube          kubernetes.Interface
	serving       servingclientset.Interface
	serviceLister servingv1listers.ServiceLister
	routeLister   servingv1listers.RouteLister
	// configMapLister returns fingerprints.
	configMapLister corev1listers.ConfigMapLister
	readers         configmaps.Readers
	resolver        *resolver.URIResolver
	trustBundles    *trustbundles.Bundles

	// removal serialises the changes that remove denied attributes, so that no two of
	// them count the same room, and written are those that the cache may lack.
	removal sync.Mutex
	written stages.Written
}

var (
	_ inferenceservicereconciler.Interface = (*Reconciler)(nil)
	_ pkgreconciler.OnDeletionInterface    = (*Reconciler)(nil)
)

// ReconcileKind implements the generated Interface.
func (r *Reconciler) ReconcileKind(ctx context.Context, is *v1beta1.InferenceService) pkgreconciler.Event {
	platform, err := r.platform(ctx)
	if err != nil {
		return err
	}
	live, err := r.live(ctx, is, platform)
	if err != nil {
		return err
	}
	before := is.Status.DeepCopy()
	err = r.planAndApply(ctx, is, live, platform)
	for _, event := range transitions(before, &is.Status) {
		controller.GetEventRecorder(ctx).Event(is, event.Type, event.Reason, event.Message)
	}
	return err
}

func (r *Reconciler) planAndApply(ctx context.Context, is *v1beta1.InferenceService, live Live, platform Platform) (err error) {
	if sendsDenied(is, live, platform) {
		r.removal.Lock()
		defer r.removal.Unlock()
		if live.Removing, err = r.removing(); err != nil {
			return err
		}
	}
	return r.apply(ctx, is, live, Plan(is, live, platform))
}

// ObserveDeletion implements reconciler.OnDeletionInterface: what a namespace
// shares goes with its last InferenceService. It is called for a key that no
// InferenceService has, so an event of the shared ConfigMap leads here, too.
func (r *Reconciler) ObserveDeletion(ctx context.Context, key types.NamespacedName) error {
	trust, err := r.trustBundles.Trust()
	if err != nil {
		return err
	}
	live, err := r.liveNamespace(key.Namespace)
	if err != nil {
		return err
	}
	changes := configmaps.NamespaceTrust(key.Namespace, live.NamespaceTrust, live.NamespaceReadsTrust, trust)
	return configmaps.Apply(ctx, r.kube, nil, changes)[v1beta1.TrustReady]
}
