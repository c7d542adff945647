/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package loggerbinding

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	servingv1 "knative.dev/serving/pkg/apis/serving/v1"

	"github.com/sidenote-dev/sidenote/internal/binding"
	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"
)

// planTrust has running agents get the addresses of their sinks and the
// authorities of the cluster. A Knative Service that waits for its agent has
// its ConfigMap already: its next pods find the files that they mount.
func planTrust(b *v1alpha1.LoggerBinding, subjects []*subject, live Live, platform Platform, status *v1alpha1.LoggerBindingStatus) (changes []configmaps.Change) {
	isSaid := platform.Trust.PEM != "" || len(platform.Trust.LeftOut) > 0
	for _, s := range subjects {
		if s.applied == nil {
			continue
		}
		present := live.owned(s.service, binding.TrustName(s.service.Name))
		trust, kept := knativeservice.MakeTrust(binding.SubjectOf(s.service, b), platform.Trust, *s.applied, s.desired)
		if s.othersServe() {
			kept = append(kept, configmaps.OthersKeys(present, trust, kept)...)
		}
		isSaid = isSaid || len(trust.Data) > 0 || hasKey(present, kept)
		changes = append(changes, configmaps.ChangeOf(live.ConfigMaps[trust.Name], configmaps.Change{
			Desired: trust, Kept: kept, UpdatedReason: configmaps.TrustUpdated, Condition: v1alpha1.TrustReady,
		})...)
	}
	if isSaid {
		status.MarkTrust(platform.Trust.LeftOut)
	} else {
		status.ClearTrust()
	}
	return changes
}

func hasKey(configMap *corev1.ConfigMap, keys []string) bool {
	return configMap != nil && slices.ContainsFunc(keys, func(key string) bool {
		_, found := configMap.Data[key]
		return found
	})
}

// planMetadata keeps the attributes of running agents up to date if the metadata
// is live.
func planMetadata(b *v1alpha1.LoggerBinding, subjects []*subject, live Live, platform Platform) (changes []configmaps.Change) {
	for _, s := range subjects {
		if s.applied == nil {
			continue
		}
		desired := knativeservice.MakeMetadata(binding.SubjectOf(s.service, b), s.selection.Attributes)
		knativeservice.AddDeniedValues(desired, b.Spec.Logger, platform.Logger.DeniedValues)
		change := configmaps.Change{Desired: desired, UpdatedReason: configmaps.MetadataUpdated, Condition: v1alpha1.MetadataReady}
		if !isLive(b) {
			if s.othersServe() || s.mounts(desired.Name) {
				continue
			}
			desired.Data = nil
		}
		changes = append(changes, configmaps.ChangeOf(live.ConfigMaps[desired.Name], change)...)
	}
	return changes
}

// planLeftovers removes the ConfigMaps of Knative Services that no binding has to
// do with any more, and of subjects that can't have the agent, once none of their
// pods has one. The change of the Knative Service's status by which the last agent
// stops serving leads here again.
func planLeftovers(live Live, subjects []*subject) (changes []configmaps.Change) {
	without := make(map[string]bool)
	for _, s := range subjects {
		without[s.service.Name] = s.applied == nil && s.record == nil && s.status.Reason != v1alpha1.ReasonOtherBinding
	}
	for _, service := range inOrder(live.Services) {
		if !(isLeft(service, live) || without[service.Name]) || !knativeservice.ServesAlone(service) {
			continue
		}
		for _, name := range configMapNames(service) {
			if present := live.owned(service, name); present != nil {
				changes = append(changes, configmaps.ChangeOf(present, configmaps.Change{Desired: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
					Name: name, Namespace: service.Namespace, OwnerReferences: present.OwnerReferences,
				}}})...)
			}
		}
	}
	return changes
}

func configMapNames(service *servingv1.Service) []string {
	return []string{binding.TrustName(service.Name), binding.MetadataName(service.Name)}
}

func hasConfigMaps(service *servingv1.Service, live Live) bool {
	return slices.ContainsFunc(configMapNames(service), func(name string) bool { return live.owned(service, name) != nil })
}
