/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package eventtypes

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	eventingv1beta3 "knative.dev/eventing/pkg/apis/eventing/v1beta3"
	eventingclientset "knative.dev/eventing/pkg/client/clientset/versioned"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/logging"
	pkgreconciler "knative.dev/pkg/reconciler"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"
	servingv1listers "knative.dev/serving/pkg/client/listers/serving/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
)

// retryWithoutEventing is the time until Eventing is asked again for EventTypes,
// which it doesn't have: it is not installed yet, or too old.
const retryWithoutEventing = 5 * time.Minute

// Reconciler keeps the EventTypes of Knative Services. Its keys are those of the
// Knative Services. It reads EventTypes from the API server and not by an informer,
// which would not start where Eventing is not installed.
type Reconciler struct {
	pkgreconciler.LeaderAwareFuncs

	eventing      eventingclientset.Interface
	serviceLister servingv1listers.ServiceLister
	config        pkgreconciler.ConfigStore
}

var (
	_ controller.Reconciler     = (*Reconciler)(nil)
	_ pkgreconciler.LeaderAware = (*Reconciler)(nil)
)

// Reconcile implements controller.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return controller.NewPermanentError(fmt.Errorf("invalid key %q: %w", key, err))
	}
	if !r.IsLeaderFor(types.NamespacedName{Namespace: namespace, Name: name}) {
		return controller.NewSkipKey(key)
	}
	service, err := r.serviceLister.Services(namespace).Get(name)
	switch {
	case apierrors.IsNotFound(err):
		// Kubernetes deletes the EventTypes with their owner.
		return nil
	case err != nil:
		return fmt.Errorf("get the Knative Service: %w", err)
	}
	return r.reconcile(r.config.ToContext(ctx), service)
}

func (r *Reconciler) reconcile(ctx context.Context, service *servingv1.Service) error {
	var desired []*eventingv1beta3.EventType
	if service.DeletionTimestamp == nil && config.FromContext(ctx).Logger.EventTypes {
		var err error
		if desired, err = Desired(service); err != nil {
			// The EventTypes of that release stay. The next change of the template
			// leads here again.
			logging.FromContext(ctx).Infow("The EventTypes of a Knative Service stay as they are", "service", service.Name, "reason", err.Error())
			return nil
		}
	}
	client := r.eventing.EventingV1beta3().EventTypes(service.Namespace)
	list, err := client.List(ctx, metav1.ListOptions{LabelSelector: selectorOf(service.Name)})
	switch {
	case apierrors.IsNotFound(err) && len(desired) == 0:
		return nil
	case apierrors.IsNotFound(err):
		return controller.NewRequeueAfter(retryWithoutEventing)
	case err != nil:
		return fmt.Errorf("list EventTypes: %w", err)
	}
	var live []*eventingv1beta3.EventType
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], service) {
			live = append(live, &list.Items[i])
		}
	}
	var errs []error
	changes := Plan(live, desired)
	for _, eventType := range changes.Create {
		if _, err := client.Create(ctx, eventType, metav1.CreateOptions{}); err != nil {
			errs = append(errs, fmt.Errorf("create EventType %q: %w", eventType.Name, err))
		}
	}
	for _, eventType := range changes.Delete {
		err := client.Delete(ctx, eventType.Name, *metav1.NewPreconditionDeleteOptions(string(eventType.UID)))
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete EventType %q: %w", eventType.Name, err))
		}
	}
	return errors.Join(errs...)
}

// promote wakes the Knative Services with an agent, and those that have EventTypes
// of an agent that was removed while no controller ran.
func (r *Reconciler) promote(bucket pkgreconciler.Bucket, enqueue func(pkgreconciler.Bucket, types.NamespacedName)) error {
	services, err := r.serviceLister.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list Knative Services: %w", err)
	}
	for _, service := range services {
		if agentOf(service) != nil {
			enqueue(bucket, types.NamespacedName{Namespace: service.Namespace, Name: service.Name})
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), promoteTimeout)
	defer cancel()
	list, err := r.eventing.EventingV1beta3().EventTypes(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: ServiceLabelKey})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("list EventTypes: %w", err)
	}
	for i := range list.Items {
		eventType := &list.Items[i]
		enqueue(bucket, types.NamespacedName{Namespace: eventType.Namespace, Name: eventType.Labels[ServiceLabelKey]})
	}
	return nil
}

// promoteTimeout bounds the list of all EventTypes.
const promoteTimeout = 30 * time.Second
