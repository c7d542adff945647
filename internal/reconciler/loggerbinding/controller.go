/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package loggerbinding reconciles LoggerBindings: it resolves their sinks, keeps
// the ConfigMaps that the agents of bound Knative Services read, and changes
// templates in stages. Admission changes them together with their owners' changes.
package loggerbinding

import (
	"context"

	"k8s.io/client-go/tools/cache"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	configmapinformer "knative.dev/pkg/client/injection/kube/informers/core/v1/configmap/filtered"
	namespaceinformer "knative.dev/pkg/client/injection/kube/informers/core/v1/namespace"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/resolver"
	servingclient "knative.dev/serving/pkg/client/injection/client"
	serviceinformer "knative.dev/serving/pkg/client/injection/informers/serving/v1/service"

	"github.com/sidenote-dev/sidenote/internal/knativeconfig"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/trustbundles"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	loggerbindinginformer "github.com/sidenote-dev/sidenote/pkg/client/injection/informers/bindings/v1alpha1/loggerbinding"
	inferenceserviceinformer "github.com/sidenote-dev/sidenote/pkg/client/injection/informers/serving/v1beta1/inferenceservice"
	loggerbindingreconciler "github.com/sidenote-dev/sidenote/pkg/client/injection/reconciler/bindings/v1alpha1/loggerbinding"
)

// ConfigMapSelector selects the ConfigMaps that this controller makes. The context
// of NewController must carry it and serving.ComponentLabelKey for the filtered
// informers. Of what somebody else gives that label a fingerprint is held in
// memory.
const ConfigMapSelector = bindings.ServiceLabelKey

// NewController makes the controller, and has it woken by what it depends on.
func NewController(ctx context.Context, watcher configmap.Watcher) *controller.Impl {
	loggerBindings := loggerbindinginformer.Get(ctx)
	services := serviceinformer.Get(ctx)
	configMaps := configmapinformer.Get(ctx, ConfigMapSelector)
	namespaces := namespaceinformer.Get(ctx)

	if err := configMaps.Informer().SetTransform(configmaps.Fingerprint); err != nil {
		logging.FromContext(ctx).Fatalw("Failed to bound the cache of ConfigMaps", "error", err)
	}

	r := &Reconciler{
		kube:            kubeclient.Get(ctx),
		serving:         servingclient.Get(ctx),
		bindingLister:   loggerBindings.Lister(),
		serviceLister:   services.Lister(),
		namespaceLister: namespaces.Lister(),
		configMapLister: configMaps.Lister(),
		sharedLister:    configmapinformer.Get(ctx, serving.ComponentLabelKey).Lister(),
		readers: configmaps.Readers{
			InferenceServices: inferenceserviceinformer.Get(ctx).Lister(), Services: services.Lister(), OfBindings: configMaps.Lister(),
		},
	}
	impl := loggerbindingreconciler.NewImpl(ctx, r, func(impl *controller.Impl) controller.Options {
		resync := func(string, any) { impl.GlobalResync(loggerBindings.Informer()) }
		store := config.NewStore(logging.FromContext(ctx).Named("config-store"), resync)
		store.WatchConfigs(watcher)
		return controller.Options{ConfigStore: knativeconfig.Stores{store, knativeconfig.FollowServing(ctx, resync)}}
	})
	r.resolver = resolver.NewURIResolverFromTracker(ctx, impl.Tracker)
	var err error
	if r.trustBundles, err = trustbundles.Follow(ctx, func() { impl.GlobalResync(loggerBindings.Informer()) }); err != nil {
		logging.FromContext(ctx).Fatalw("Failed to follow the cluster's trust bundles", "error", err)
	}

	w := waker{bindings: loggerBindings.Lister(), configMaps: configMaps.Lister(), services: services.Lister(), wake: impl.EnqueueKey}
	loggerBindings.Informer().AddEventHandler(eachState(w.binding))
	services.Informer().AddEventHandler(eachState(w.service))
	configMaps.Informer().AddEventHandler(eachState(w.configMap))
	namespaces.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: w.namespace})
	return impl
}
