/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package inferenceservice

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// ConfigMapChange is a write of a ConfigMap that running agents read.
type ConfigMapChange struct {
	// Desired is the ConfigMap. Without data, and without a value of a key in
	// Kept, it is deleted.
	Desired *corev1.ConfigMap
	// Kept are keys whose live values stay. A cache of fingerprints has no values,
	// so the write takes them over.
	Kept []string
	// UpdatedReason is the reason of the event for an update, or "" for no event.
	UpdatedReason string
	// Condition turns false if the write fails, unless it is "".
	Condition apis.ConditionType
}

// changeOf returns a change if a fingerprint differs from the desired ConfigMap.
func changeOf(live *corev1.ConfigMap, change ConfigMapChange) []ConfigMapChange {
	ours := live != nil && refuseForeign(live, change.Desired) == nil
	switch {
	case len(change.Desired.Data) == 0 && !ours,
		ours && len(live.Data) > 0 && matches(live, change.Desired, change.Kept):
		return nil
	default:
		return []ConfigMapChange{change}
	}
}

// refuseForeign says why a ConfigMap may not be written: somebody else made it.
func refuseForeign(live, desired *corev1.ConfigMap) error {
	owner := metav1.GetControllerOfNoCopy(desired)
	if owner == nil {
		if knativeservice.IsNamespaceTrust(live) {
			return nil
		}
		return fmt.Errorf("the ConfigMap %q is not Sidenote's, so the agents of this namespace don't get the cluster's certificate authorities: delete it, and Sidenote creates its own", live.Name)
	}
	if current := metav1.GetControllerOfNoCopy(live); current == nil || current.UID != owner.UID {
		return fmt.Errorf("the ConfigMap %q is not owned by this InferenceService: delete it, or rename the InferenceService", live.Name)
	}
	return nil
}

// planWithoutLogger removes the ConfigMaps once no agent reads them. The change
// of the Knative Service's status by which the last agent stops serving leads
// here again.
func planWithoutLogger(is *v1beta1.InferenceService, live Live, platform Platform) []ConfigMapChange {
	changes := planNamespaceTrust(is.Namespace, live, platform.Trust)
	if !knativeservice.MayHaveAgents(live.Service) {
		trust, _ := knativeservice.MakeTrust(is, knativeservice.Trust{}, knativeservice.Applied{}, knativeservice.Desired{})
		changes = append(changes, changeOf(live.Trust, ConfigMapChange{Desired: trust})...)
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
func planMetadata(is *v1beta1.InferenceService, live Live, attributes []metadata.Attribute, others bool) []ConfigMapChange {
	switch {
	case is.Spec.Predictor.Logger.MetadataRefresh == v1beta1.RefreshLive:
		return changeOf(live.Metadata, ConfigMapChange{
			Desired: knativeservice.MakeMetadata(is, attributes), UpdatedReason: "MetadataUpdated", Condition: v1beta1.MetadataReady,
		})
	case others:
		return nil
	default:
		return removeMetadata(is, live)
	}
}

func removeMetadata(is *v1beta1.InferenceService, live Live) []ConfigMapChange {
	desired := knativeservice.MakeMetadata(is, nil)
	desired.Data = nil
	return changeOf(live.Metadata, ConfigMapChange{Desired: desired, Condition: v1beta1.MetadataReady})
}

// planTrust returns running agents the authorities of the cluster and the addresses
// of their sinks.
func planTrust(is *v1beta1.InferenceService, live Live, cluster knativeservice.Trust, applied knativeservice.Applied, desired knativeservice.Desired, others bool, status *v1beta1.InferenceServiceStatus) []ConfigMapChange {
	trust, kept := knativeservice.MakeTrust(is, cluster, applied, desired)
	if others {
		kept = append(kept, othersKeys(live.Trust, trust, kept)...)
	}
	if len(trust.Data) == 0 && cluster.PEM == "" && len(cluster.LeftOut) == 0 &&
		!slices.ContainsFunc(kept, func(key string) bool { return live.hasTrustKey(is, key) }) {
		status.ClearTrust()
	} else {
		status.MarkTrust(cluster.LeftOut)
	}
	return append(
		planNamespaceTrust(is.Namespace, live, cluster),
		changeOf(live.Trust, ConfigMapChange{Desired: trust, Kept: kept, UpdatedReason: trustUpdated, Condition: v1beta1.TrustReady})...)
}

const trustUpdated = "TrustUpdated"

// planNamespaceTrust returns a namespace the authorities of the cluster as long as
// pods read them. All InferenceServices share one ConfigMap, because a bundle can
// have a megabyte. None of them owns it.
func planNamespaceTrust(namespace string, live Live, cluster knativeservice.Trust) []ConfigMapChange {
	if !live.NamespaceReadsTrust {
		cluster = knativeservice.Trust{}
	}
	return changeOf(live.NamespaceTrust, ConfigMapChange{
		Desired: knativeservice.MakeNamespaceTrust(namespace, cluster), UpdatedReason: trustUpdated, Condition: v1beta1.TrustReady,
	})
}

// maxOthersKeys bounds the keys of Revisions that never become ready. A
// fingerprint tells twice as many keys apart.
const maxOthersKeys = maxFingerprintKeys / 2

// othersKeys returns the keys that running agents have beside the desired ones.
func othersKeys(live, desired *corev1.ConfigMap, kept []string) (keys []string) {
	if live == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(live.Data)) {
		if _, isDesired := desired.Data[key]; !isDesired && !slices.Contains(kept, key) && knativeservice.IsTrustKey(key) && len(keys) < maxOthersKeys {
			keys = append(keys, key)
		}
	}
	return keys
}

// hasTrustKey reports whether running agents have a file of that key.
func (l Live) hasTrustKey(is *v1beta1.InferenceService, key string) bool {
	if l.Trust == nil || !metav1.IsControlledBy(l.Trust, is) {
		return false
	}
	_, found := l.Trust.Data[key]
	return found
}
