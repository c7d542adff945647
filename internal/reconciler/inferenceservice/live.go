/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// platform reads the configuration that all InferenceServices share.
func (r *Reconciler) platform(ctx context.Context) (Platform, error) {
	trust, err := r.trustBundles.Trust()
	return Platform{Config: config.FromContext(ctx), MultiContainerProbing: knativeservice.MultiContainerProbing(ctx), Trust: trust}, err
}

// live reads what the cluster has of an InferenceService, and tracks its sinks.
func (r *Reconciler) live(ctx context.Context, is *v1beta1.InferenceService, platform Platform) (Live, error) {
	live, err := r.liveNamespace(is.Namespace)
	if err != nil {
		return Live{}, err
	}
	if live.Route, err = r.route(is); err != nil {
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
	if live.Trust, err = configmaps.Fetch(r.configMapLister, is.Namespace, is.TrustName(component.Type)); err != nil {
		return nil, err
	}
	if live.Metadata, err = configmaps.Fetch(r.configMapLister, is.Namespace, is.MetadataName(component.Type)); err != nil {
		return nil, err
	}
	if component.Spec.Logger != nil {
		if component.Spec.Logger.MetadataRefresh == v1beta1.RefreshLive && selectMetadata(component, *live, platform.Logger).HasInvalid() {
			if live.LastMetadata, err = configmaps.ReadMetadata(ctx, r.kube, is.MetadataName(component.Type), is); err != nil {
				return nil, err
			}
		}
		live.Sinks = sinks.Resolve(ctx, sinksOf(component, platform.Logger), r.resolver, is)
	}
	return live, nil
}

// liveNamespace reads what all agents of a namespace share.
func (r *Reconciler) liveNamespace(namespace string) (live Live, err error) {
	if live.NamespaceTrust, err = configmaps.Fetch(r.configMapLister, namespace, knativeservice.NamespaceTrustName); err != nil {
		return Live{}, err
	}
	if live.NamespaceReadsTrust, err = r.readers.Read(namespace, live.NamespaceTrust); err != nil {
		return Live{}, err
	}
	return live, nil
}

// route returns the Knative Route with the name of the InferenceService, or nil.
func (r *Reconciler) route(is *v1beta1.InferenceService) (*servingv1.Route, error) {
	route, err := r.routeLister.Routes(is.Namespace).Get(is.Name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("get the Knative Route: %w", err)
	}
	return route, nil
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
