/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package configmaps

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/bindings"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving"
)

const (
	// maxFingerprintKeys is more than the keys of our ConfigMaps, which have four for
	// each sink of a Revision and those of the one before, and
	// maxFingerprintKeyBytes more than the bytes of such a key.
	maxFingerprintKeys     = 80
	maxFingerprintKeyBytes = 64
	// digestBytes of a SHA-256 tell values apart, and take half of the room.
	digestBytes = 24
	// strangeKey stands for content that our ConfigMaps never have. No key of a
	// ConfigMap has a slash.
	strangeKey = "/strange"
)

// Fingerprint transforms the ConfigMaps of the informer. Users of a namespace can
// label ConfigMaps of a megabyte each, so the cache holds only their owner and a
// digest of each value, of a bounded size.
func Fingerprint(object any) (any, error) {
	configMap, isConfigMap := object.(*corev1.ConfigMap)
	if !isConfigMap {
		return object, nil
	}
	stripped := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name: configMap.Name, Namespace: configMap.Namespace,
			UID: configMap.UID, ResourceVersion: configMap.ResourceVersion,
			DeletionTimestamp: configMap.DeletionTimestamp,
			Labels:            ourLabels(configMap.Labels),
		},
		Data: digests(configMap.Data),
	}
	if owner := metav1.GetControllerOf(configMap); owner != nil {
		stripped.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	if len(configMap.BinaryData) > 0 {
		stripped.Data[strangeKey] = ""
	}
	return stripped, nil
}

func ourLabels(all map[string]string) map[string]string {
	ours := make(map[string]string, 2)
	for _, key := range []string{serving.InferenceServiceLabelKey, serving.ComponentLabelKey, bindings.ServiceLabelKey} {
		if value, found := all[key]; found {
			ours[key] = value
		}
	}
	return ours
}

func digests(data map[string]string) map[string]string {
	result := make(map[string]string, min(len(data), maxFingerprintKeys)+1)
	for key, value := range data {
		if len(result) >= maxFingerprintKeys || len(key) > maxFingerprintKeyBytes {
			result[strangeKey] = ""
			continue
		}
		sum := sha256.Sum256([]byte(value))
		result[key] = base64.RawStdEncoding.EncodeToString(sum[:digestBytes])
	}
	return result
}

// matches reports whether the ConfigMap of a fingerprint has the labels and the
// data that are desired. A key that is kept may have any value, or none.
func matches(cached, desired *corev1.ConfigMap, kept []string) bool {
	wanted := digests(desired.Data)
	for _, key := range kept {
		if digest, found := cached.Data[key]; found {
			wanted[key] = digest
		}
	}
	return maps.Equal(cached.Data, wanted) && maps.Equal(cached.Labels, desired.Labels)
}
