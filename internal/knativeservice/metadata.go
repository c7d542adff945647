/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// MakeMetadata builds the ConfigMap that carries the attributes to running
// agents.
func MakeMetadata(subject Subject, attributes []metadata.Attribute) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: subject.configMapMeta(subject.MetadataName),
		Data:       map[string]string{metadata.FileName: string(metadata.MarshalFile(attributes))},
	}
}
