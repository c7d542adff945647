/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventtypes

import (
	"context"
	"maps"

	"k8s.io/client-go/tools/cache"
	eventingclient "knative.dev/eventing/pkg/client/injection/client"
	"knative.dev/pkg/configmap"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/logging"
	pkgreconciler "knative.dev/pkg/reconciler"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	serviceinformer "knative.dev/serving/pkg/client/injection/informers/serving/v1/service"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
)

// NewController makes the controller, and has it woken by changes of Knative
// Services and of the configuration.
func NewController(ctx context.Context, watcher configmap.Watcher) *controller.Impl {
	logger := logging.FromContext(ctx)
	services := serviceinformer.Get(ctx)
	r := &Reconciler{eventing: eventingclient.Get(ctx), serviceLister: services.Lister()}
	r.LeaderAwareFuncs = pkgreconciler.LeaderAwareFuncs{PromoteFunc: r.promote}
	const name = "EventTypes"
	impl := controller.NewContext(ctx, r, controller.ControllerOptions{WorkQueueName: name, Logger: logger.Named(name)})

	withAgent := func(object any) bool {
		service, isService := object.(*servingv1.Service)
		return isService && agentOf(service) != nil
	}
	store := config.NewStore(logger.Named("config-store"), func(string, any) {
		impl.FilteredGlobalResync(withAgent, services.Informer())
	})
	store.WatchConfigs(watcher)
	r.config = store

	services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) {
			if withAgent(object) {
				impl.Enqueue(object)
			}
		},
		UpdateFunc: func(before, after any) {
			if (withAgent(before) || withAgent(after)) && concerns(before.(*servingv1.Service), after.(*servingv1.Service)) {
				impl.Enqueue(after)
			}
		},
	})
	return impl
}

// concerns reports whether a change of a Knative Service may change its EventTypes.
// A change of its status doesn't. A resync does, to restore an EventType that
// somebody deleted.
func concerns(before, after *servingv1.Service) bool {
	return before.ResourceVersion == after.ResourceVersion || before.Generation != after.Generation ||
		!maps.Equal(before.Annotations, after.Annotations)
}
