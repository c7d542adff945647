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
	if live.Service, err = r.service(is); err != nil {
		return Live{}, err
	}
	if live.Trust, err = r.configMap(is.Namespace, is.TrustName(v1beta1.PredictorComponent)); err != nil {
		return Live{}, err
	}
	if live.Metadata, err = r.configMap(is.Namespace, is.MetadataName(v1beta1.PredictorComponent)); err != nil {
		return Live{}, err
	}
	if is.Spec.Predictor.Logger != nil {
		live.Sink = r.resolve(ctx, is, sinkOf(is, platform.Logger))
		live.DeadLetterSink = r.resolve(ctx, is, deadLetterSinkOf(is))
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
		case is.Spec.Predictor.Logger != nil:
			return true
		case live.NamespaceTrust == nil:
			// Pods from when it had a logger found none.
			return false
		}
		service, err := r.service(is)
		return err == nil && service != nil && metav1.IsControlledBy(service, is) && knativeservice.MayHaveAgents(service)
	})
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
