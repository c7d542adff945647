/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/internal/reconciler/configmaps"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// planWithoutLogger removes the ConfigMaps once no agent reads them. The change
// of the Knative Service's status by which the last agent stops serving leads
// here again.
func planWithoutLogger(is *v1beta1.InferenceService, live Live, platform Platform) []configmaps.Change {
	changes := configmaps.NamespaceTrust(is.Namespace, live.NamespaceTrust, live.NamespaceReadsTrust, platform.Trust)
	if !knativeservice.MayHaveAgents(live.Service) {
		trust, _ := knativeservice.MakeTrust(knativeservice.SubjectOf(is), knativeservice.Trust{}, knativeservice.Applied{}, knativeservice.Desired{})
		changes = append(changes, configmaps.ChangeOf(live.Trust, configmaps.Change{Desired: trust})...)
		changes = append(changes, removeMetadata(is, live)...)
	}
	for i := range changes {
		// The status says nothing of a logger.
		changes[i].UpdatedReason, changes[i].Condition = "", ""
	}
	return changes
}

// planMetadata keeps the attributes of running agents up to date if the metadata
// is live.
func planMetadata(is *v1beta1.InferenceService, live Live, attributes []metadata.Attribute, others bool) []configmaps.Change {
	switch {
	case is.Spec.Predictor.Logger.MetadataRefresh == v1beta1.RefreshLive:
		return configmaps.ChangeOf(live.Metadata, configmaps.Change{
			Desired: knativeservice.MakeMetadata(knativeservice.SubjectOf(is), attributes), UpdatedReason: configmaps.MetadataUpdated, Condition: v1beta1.MetadataReady,
		})
	case others:
		return nil
	default:
		return removeMetadata(is, live)
	}
}

func removeMetadata(is *v1beta1.InferenceService, live Live) []configmaps.Change {
	desired := knativeservice.MakeMetadata(knativeservice.SubjectOf(is), nil)
	desired.Data = nil
	return configmaps.ChangeOf(live.Metadata, configmaps.Change{Desired: desired, Condition: v1beta1.MetadataReady})
}

// planTrust returns running agents the authorities of the cluster and the addresses
// of their sinks.
func planTrust(is *v1beta1.InferenceService, live Live, cluster knativeservice.Trust, applied knativeservice.Applied, desired knativeservice.Desired, others bool, status *v1beta1.InferenceServiceStatus) []configmaps.Change {
	trust, kept := knativeservice.MakeTrust(knativeservice.SubjectOf(is), cluster, applied, desired)
	if others {
		kept = append(kept, configmaps.OthersKeys(live.Trust, trust, kept)...)
	}
	if len(trust.Data) == 0 && cluster.PEM == "" && len(cluster.LeftOut) == 0 &&
		!slices.ContainsFunc(kept, func(key string) bool { return live.hasTrustKey(is, key) }) {
		status.ClearTrust()
	} else {
		status.MarkTrust(cluster.LeftOut)
	}
	return append(
		configmaps.NamespaceTrust(is.Namespace, live.NamespaceTrust, live.NamespaceReadsTrust, cluster),
		configmaps.ChangeOf(live.Trust, configmaps.Change{Desired: trust, Kept: kept, UpdatedReason: configmaps.TrustUpdated, Condition: v1beta1.TrustReady})...)
}

// hasTrustKey reports whether running agents have a file of that key.
func (l Live) hasTrustKey(is *v1beta1.InferenceService, key string) bool {
	if l.Trust == nil || !metav1.IsControlledBy(l.Trust, is) {
		return false
	}
	_, found := l.Trust.Data[key]
	return found
}
