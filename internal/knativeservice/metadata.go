/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/kmeta"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// MakeMetadata builds the ConfigMap that carries the attributes to running
// agents.
func MakeMetadata(is *v1beta1.InferenceService, attributes []metadata.Attribute) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name:            is.MetadataName(v1beta1.PredictorComponent),
			Namespace:       is.Namespace,
			Labels:          componentLabels(is),
			OwnerReferences: []metav1.OwnerReference{*kmeta.NewControllerRef(is)},
		},
		Data: map[string]string{metadata.FileName: string(metadata.MarshalFile(attributes))},
	}
}
