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
	if live.Service, err = r.service(is); err != nil {
		return Live{}, err
	}
	if live.Trust, err = configmaps.Fetch(r.configMapLister, is.Namespace, is.TrustName(v1beta1.PredictorComponent)); err != nil {
		return Live{}, err
	}
	if live.Metadata, err = configmaps.Fetch(r.configMapLister, is.Namespace, is.MetadataName(v1beta1.PredictorComponent)); err != nil {
		return Live{}, err
	}
	if is.Spec.Predictor.Logger != nil {
		live.Sink = sinkOf(is, platform.Logger).Resolve(ctx, r.resolver, is)
		live.DeadLetterSink = deadLetterSinkOf(is).Resolve(ctx, r.resolver, is)
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

// service returns the predictor's Knative Service, or nil.
func (r *Reconciler) service(is *v1beta1.InferenceService) (*servingv1.Service, error) {
	service, err := r.serviceLister.Services(is.Namespace).Get(is.ServiceName(v1beta1.PredictorComponent))
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("get the predictor's Knative Service: %w", err)
	}
	return service, nil
}
