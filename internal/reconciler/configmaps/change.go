/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package configmaps

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/knativeservice"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// Change is a write of a ConfigMap that running agents read.
type Change struct {
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

// Reasons of the events for updates.
const (
	TrustUpdated    = "TrustUpdated"
	MetadataUpdated = "MetadataUpdated"
)

// ChangeOf returns a change if a fingerprint differs from the desired ConfigMap.
func ChangeOf(live *corev1.ConfigMap, change Change) []Change {
	ours := live != nil && refuseForeign(live, change.Desired) == nil
	switch {
	case len(change.Desired.Data) == 0 && !ours,
		ours && len(live.Data) > 0 && matches(live, change.Desired, change.Kept):
		return nil
	default:
		return []Change{change}
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
		return fmt.Errorf("the ConfigMap %q is not owned by this %s: delete it, or rename the %s", live.Name, owner.Kind, owner.Kind)
	}
	return nil
}

// NamespaceTrust returns a namespace the authorities of the cluster as long as
// pods read them. All agents of a namespace share one ConfigMap, because a bundle
// can have a megabyte. No object owns it.
func NamespaceTrust(namespace string, live *corev1.ConfigMap, isRead bool, cluster knativeservice.Trust) []Change {
	if !isRead {
		cluster = knativeservice.Trust{}
	}
	return ChangeOf(live, Change{
		Desired: knativeservice.MakeNamespaceTrust(namespace, cluster), UpdatedReason: TrustUpdated, Condition: v1beta1.TrustReady,
	})
}

// maxOthersKeys bounds the keys of Revisions that never become ready. A
// fingerprint tells twice as many keys apart.
const maxOthersKeys = maxFingerprintKeys / 2

// OthersKeys returns the keys that running agents have beside the desired ones.
func OthersKeys(live, desired *corev1.ConfigMap, kept []string) (keys []string) {
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
