/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	servingconfig "knative.dev/serving/pkg/apis/config"

	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/internal/reconciler/sinks"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

const loggerPath = "spec.logger"

func sinksOf(b *v1alpha1.LoggerBinding, cluster *config.Logger) []sinks.Pair {
	return sinks.Of(b.Namespace, binding.LoggerOf(b), loggerPath, cluster)
}

// platform reads the configuration that all bindings share.
func (r *Reconciler) platform(ctx context.Context) (Platform, error) {
	trust, err := r.trustBundles.Trust()
	return Platform{
		Platform: binding.Platform{Config: config.FromContext(ctx), Serving: servingconfig.FromContextOrDefaults(ctx)},
		Trust:    trust,
	}, err
}

// live reads what the cluster has of a binding, and tracks its sinks.
func (r *Reconciler) live(ctx context.Context, b *v1alpha1.LoggerBinding, platform Platform) (Live, error) {
	live, err := r.liveNamespace(b.Namespace)
	if err != nil {
		return Live{}, err
	}
	live.Sinks = sinks.Resolve(ctx, sinksOf(b, platform.Logger), r.resolver, b)
	live.LastMetadata, err = r.lastMetadata(ctx, b, live, platform)
	return live, err
}

// lastMetadata reads the attributes that running agents have, of the Knative Services
// with a present value that can't go into an event.
func (r *Reconciler) lastMetadata(ctx context.Context, b *v1alpha1.LoggerBinding, live Live, platform Platform) (map[string][]metadata.Attribute, error) {
	if b.Spec.Logger == nil || b.Spec.Logger.MetadataRefresh != v1beta1.RefreshLive {
		return nil, nil
	}
	last := make(map[string][]metadata.Attribute)
	for _, service := range live.Services {
		owner := binding.Select(live.Bindings, service)
		if owner == nil || owner.Name != b.Name || !selectMetadata(service, b, platform).HasInvalid() {
			continue
		}
		attributes, err := configmaps.ReadMetadata(ctx, r.kube, binding.MetadataName(service.Name), service)
		if err != nil {
			return nil, err
		}
		last[service.Name] = attributes
	}
	return last, nil
}

// liveNamespace reads what all bindings of a namespace share.
func (r *Reconciler) liveNamespace(name string) (live Live, err error) {
	if live.Bindings, err = r.bindingLister.LoggerBindings(name).List(labels.Everything()); err != nil {
		return Live{}, fmt.Errorf("list the LoggerBindings of the namespace: %w", err)
	}
	if live.Services, err = r.serviceLister.Services(name).List(labels.Everything()); err != nil {
		return Live{}, fmt.Errorf("list the Knative Services of the namespace: %w", err)
	}
	own, err := r.configMapLister.ConfigMaps(name).List(labels.Everything())
	if err != nil {
		return Live{}, fmt.Errorf("list the ConfigMaps of the namespace: %w", err)
	}
	live.ConfigMaps = make(map[string]*corev1.ConfigMap, len(own))
	for _, configMap := range own {
		live.ConfigMaps[configMap.Name] = configMap
	}
	if live.NamespaceTrust, err = configmaps.Fetch(r.sharedLister, name, knativeservice.NamespaceTrustName); err != nil {
		return Live{}, err
	}
	if live.NamespaceReadsTrust, err = r.readers.Read(name, live.NamespaceTrust); err != nil {
		return Live{}, err
	}
	namespace, err := r.namespaceLister.Get(name)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return Live{}, fmt.Errorf("get the namespace: %w", err)
	default:
		live.NamespaceIncluded, live.NamespaceEnds = isIncluded(namespace), namespace.DeletionTimestamp != nil
	}
	return live, nil
}

// isIncluded reports whether admission binds the Knative Services of a namespace.
func isIncluded(namespace *corev1.Namespace) bool {
	return namespace.Labels[bindings.IncludeLabelKey] == "true"
}
