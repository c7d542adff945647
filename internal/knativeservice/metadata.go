/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
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

// AddDeniedValues has the ConfigMap of MakeMetadata carry the patterns of denied
// values, too, if headers give attributes.
func AddDeniedValues(to *corev1.ConfigMap, logger *v1beta1.LoggerSpec, denied metadata.DeniedValues) {
	if len(denied) > 0 && takesHeaders(logger) {
		to.Data[metadata.DeniedValuesFileName] = string(denied.MarshalFile())
	}
}

// takesHeaders reports whether headers give attributes.
func takesHeaders(logger *v1beta1.LoggerSpec) bool {
	return logger != nil && (len(logger.MetadataHeaders) > 0 ||
		slices.ContainsFunc(logger.Metadata, func(source v1beta1.MetadataSource) bool { return source.Header != "" }))
}
