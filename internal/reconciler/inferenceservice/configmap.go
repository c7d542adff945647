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
func planWithoutLogger(component knativeservice.Component, live LiveComponent) []configmaps.Change {
	if knativeservice.MayHaveAgents(live.Service) {
		return nil
	}
	trust, _ := knativeservice.MakeTrust(component.Subject(), knativeservice.Trust{}, knativeservice.Applied{}, knativeservice.Desired{})
	return silent(append(configmaps.ChangeOf(live.Trust, configmaps.Change{Desired: trust}), removeMetadata(component, live)...))
}

// silent returns changes of which the status says nothing, for there is no
// logger.
func silent(changes []configmaps.Change) []configmaps.Change {
	for i := range changes {
		changes[i].UpdatedReason, changes[i].Condition = "", ""
	}
	return changes
}

// planMetadata keeps the attributes of running agents up to date if the metadata
// is live.
func planMetadata(component knativeservice.Component, live LiveComponent, attributes []metadata.Attribute, denied metadata.DeniedValues, others bool) []configmaps.Change {
	switch {
	case component.Spec.Logger.MetadataRefresh == v1beta1.RefreshLive:
		configMap := knativeservice.MakeMetadata(component.Subject(), attributes)
		knativeservice.AddDeniedValues(configMap, component.Spec.Logger, denied)
		return configmaps.ChangeOf(live.Metadata, configmaps.Change{
			Desired: configMap, UpdatedReason: configmaps.MetadataUpdated, Condition: v1beta1.MetadataReady,
		})
	case others:
		return nil
	default:
		return removeMetadata(component, live)
	}
}

func removeMetadata(component knativeservice.Component, live LiveComponent) []configmaps.Change {
	desired := knativeservice.MakeMetadata(component.Subject(), nil)
	desired.Data = nil
	return configmaps.ChangeOf(live.Metadata, configmaps.Change{Desired: desired, Condition: v1beta1.MetadataReady})
}

// planTrust returns running agents the authorities of the cluster and the addresses
// of their sinks.
func planTrust(component knativeservice.Component, live LiveComponent, cluster knativeservice.Trust, applied knativeservice.Applied, desired knativeservice.Desired, others bool, status *v1beta1.InferenceServiceStatus) []configmaps.Change {
	trust, kept := knativeservice.MakeTrust(component.Subject(), cluster, applied, desired)
	if others {
		kept = append(kept, configmaps.OthersKeys(live.Trust, trust, kept)...)
	}
	if len(trust.Data) == 0 && cluster.PEM == "" && len(cluster.LeftOut) == 0 &&
		!slices.ContainsFunc(kept, func(key string) bool { return live.hasTrustKey(component.Of, key) }) {
		status.ClearTrust()
	} else {
		status.MarkTrust(cluster.LeftOut)
	}
	return configmaps.ChangeOf(live.Trust, configmaps.Change{Desired: trust, Kept: kept, UpdatedReason: configmaps.TrustUpdated, Condition: v1beta1.TrustReady})
}

// hasTrustKey reports whether running agents have a file of that key.
func (l LiveComponent) hasTrustKey(is *v1beta1.InferenceService, key string) bool {
	if l.Trust == nil || !metav1.IsControlledBy(l.Trust, is) {
		return false
	}
	_, found := l.Trust.Data[key]
	return found
}
