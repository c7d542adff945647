/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// platform reads the configuration that all InferenceServices share.
func (r *Reconciler) platform(ctx context.Context) (Platform, error) {
	trust, err := r.trustBundles.trust()
	return Platform{Config: config.FromContext(ctx), MultiContainerProbing: knativeservice.MultiContainerProbing(ctx), Trust: trust}, err
}

// live reads what the cluster has of an InferenceService, and tracks its sinks.
func (r *Reconciler) live(ctx context.Context, is *v1beta1.InferenceService, platform Platform) (Live, error) {
	live, err := r.liveNamespace(is.Namespace)
	if err != nil {
		return Live{}, err
	}
	live.Components = make(map[v1beta1.ComponentType]*LiveComponent)
	for _, component := range v1beta1.ComponentTypes() {
		if live.Components[component], err = r.liveComponent(ctx, knativeservice.ComponentOf(is, component), platform); err != nil {
			return Live{}, err
		}
	}
	return live, nil
}

func (r *Reconciler) liveComponent(ctx context.Context, component knativeservice.Component, platform Platform) (live *LiveComponent, err error) {
	live, is := new(LiveComponent), component.Of
	if live.Service, err = r.service(is, component.Type); err != nil {
		return nil, err
	}
	if live.Trust, err = r.configMap(is.Namespace, is.TrustName(component.Type)); err != nil {
		return nil, err
	}
	if live.Metadata, err = r.configMap(is.Namespace, is.MetadataName(component.Type)); err != nil {
		return nil, err
	}
	if component.Spec.Logger != nil {
		live.Sink = r.resolve(ctx, is, sinkOf(component, platform.Logger))
		live.DeadLetterSink = r.resolve(ctx, is, deadLetterSinkOf(component))
	}
	return live, nil
}

// liveNamespace reads what all InferenceServices of a namespace share.
func (r *Reconciler) liveNamespace(namespace string) (live Live, err error) {
	if live.NamespaceTrust, err = r.configMap(namespace, knativeservice.NamespaceTrustName); err != nil {
		return Live{}, err
	}
	all, err := r.inferenceServiceLister.InferenceServices(namespace).List(labels.Everything())
	if err != nil {
		return Live{}, fmt.Errorf("list the InferenceServices of the namespace: %w", err)
	}
	live.NamespaceReadsTrust = slices.ContainsFunc(all, func(is *v1beta1.InferenceService) bool {
		switch {
		case is.DeletionTimestamp != nil:
			return false
		case hasLogger(is):
			return true
		case live.NamespaceTrust == nil:
			// Pods from when it had a logger found none.
			return false
		}
		return slices.ContainsFunc(v1beta1.ComponentTypes(), func(component v1beta1.ComponentType) bool {
			service, err := r.service(is, component)
			return err == nil && service != nil && metav1.IsControlledBy(service, is) && knativeservice.MayHaveAgents(service)
		})
	})
	return live, nil
}

// hasLogger reports whether a component has a logger.
func hasLogger(is *v1beta1.InferenceService) bool {
	return slices.ContainsFunc(is.Spec.Components(), func(component v1beta1.ComponentType) bool {
		return is.Spec.Component(component).Logger != nil
	})
}

// service returns a component's Knative Service, or nil.
func (r *Reconciler) service(is *v1beta1.InferenceService, component v1beta1.ComponentType) (*servingv1.Service, error) {
	service, err := r.serviceLister.Services(is.Namespace).Get(is.ServiceName(component))
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("get the Knative Service of the %s: %w", component, err)
	}
	return service, nil
}

// configMap returns the fingerprint of a ConfigMap, or nil.
func (r *Reconciler) configMap(namespace, name string) (*corev1.ConfigMap, error) {
	configMap, err := r.configMapLister.ConfigMaps(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return configMap, wrap("get", name, err)
}

// resolve finds the address of a sink, and has the controller woken when it
// changes.
func (r *Reconciler) resolve(ctx context.Context, is *v1beta1.InferenceService, sink *namedSink) (resolved Resolution) {
	if sink == nil {
		return resolved
	}
	if reason, _ := sink.refusal(); reason != "" {
		return resolved
	}
	resolved.Address, resolved.Err = r.resolver.AddressableFromDestinationV1(ctx, sink.Destination, is)
	return resolved
}
