/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package inferenceservice reconciles InferenceServices: each becomes a
// Knative Service with the agent in front of its model.
package inferenceservice

import (
	"context"

	"k8s.io/client-go/tools/cache"
	kubeclient "knative.dev/pkg/client/injection/kube/client"
	configmapinformer "knative.dev/pkg/client/injection/kube/informers/core/v1/configmap/filtered"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/logging"
	"knative.dev/pkg/resolver"
	servingclient "knative.dev/serving/pkg/client/injection/client"
	routeinformer "knative.dev/serving/pkg/client/injection/informers/serving/v1/route"
	serviceinformer "knative.dev/serving/pkg/client/injection/informers/serving/v1/service"

	"github.com/sidenote-dev/sidenote/internal/knativeconfig"
	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/trustbundles"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	inferenceserviceinformer "github.com/sidenote-dev/sidenote/pkg/client/injection/informers/serving/v1beta1/inferenceservice"
	inferenceservicereconciler "github.com/sidenote-dev/sidenote/pkg/client/injection/reconciler/serving/v1beta1/inferenceservice"
)

// ConfigMapSelector selects the ConfigMaps that this controller makes. The context
// of NewController must carry it and bindings.ServiceLabelKey for the filtered
// informers. Of what somebody else gives that label a fingerprint is held in
// memory.
const ConfigMapSelector = serving.ComponentLabelKey

// NewController makes the controller, and has it woken by what it depends on.
func NewController(ctx context.Context, watcher configmap.Watcher) *controller.Impl {
	inferenceServices := inferenceserviceinformer.Get(ctx)
	services, routes := serviceinformer.Get(ctx), routeinformer.Get(ctx)
	configMaps := configmapinformer.Get(ctx, ConfigMapSelector)

	if err := configMaps.Informer().SetTransform(configmaps.Fingerprint); err != nil {
		logging.FromContext(ctx).Fatalw("Failed to bound the cache of ConfigMaps", "error", err)
	}

	r := &Reconciler{
		kube:            kubeclient.Get(ctx),
		serving:         servingclient.Get(ctx),
		serviceLister:   services.Lister(),
		routeLister:     routes.Lister(),
		configMapLister: configMaps.Lister(),
		readers: configmaps.Readers{
			InferenceServices: inferenceServices.Lister(), Services: services.Lister(),
			OfBindings: configmapinformer.Get(ctx, bindings.ServiceLabelKey).Lister(),
		},
	}
	impl := inferenceservicereconciler.NewImpl(ctx, r, func(impl *controller.Impl) controller.Options {
		resync := func(string, any) { impl.GlobalResync(inferenceServices.Informer()) }
		store := config.NewStore(logging.FromContext(ctx).Named("config-store"), resync)
		store.WatchConfigs(watcher)
		return controller.Options{ConfigStore: knativeconfig.Stores{store, knativeconfig.FollowServing(ctx, resync)}}
	})
	r.resolver = resolver.NewURIResolverFromTracker(ctx, impl.Tracker)
	var err error
	if r.trustBundles, err = trustbundles.Follow(ctx, func() { impl.GlobalResync(inferenceServices.Informer()) }); err != nil {
		logging.FromContext(ctx).Fatalw("Failed to follow the cluster's trust bundles", "error", err)
	}

	inferenceServices.Informer().AddEventHandler(controller.HandleAll(impl.Enqueue))
	ownedBy := cache.FilteringResourceEventHandler{
		FilterFunc: controller.FilterController(&v1beta1.InferenceService{}),
		Handler:    controller.HandleAll(impl.EnqueueControllerOf),
	}
	services.Informer().AddEventHandler(ownedBy)
	routes.Informer().AddEventHandler(ownedBy)
	configMaps.Informer().AddEventHandler(ownedBy)
	configMaps.Informer().AddEventHandler(cache.FilteringResourceEventHandler{
		FilterFunc: controller.FilterWithName(knativeservice.NamespaceTrustName),
		// No InferenceService, or one that needs it: see ObserveDeletion.
		Handler: controller.HandleAll(impl.Enqueue),
	})
	return impl
}
