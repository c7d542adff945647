/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// ownerHashVersion begins a hash and says how it was taken. A later form gets
// another version, and keeps this one to compare with what was recorded.
const ownerHashVersion = "v1:"

// OwnerHash names what the InferenceService's owner decides of the template.
// It is taken of the owner's inputs, not of the template, so that a controller
// which builds templates otherwise changes none that runs; and of what is set
// in them, so that neither does a field that Kubernetes or Knative adds.
func OwnerHash(is *v1beta1.InferenceService, attributes []metadata.Attribute) string {
	return ownerHashVersion + hashOfBytes(mustMarshal(whatIsSet(struct {
		Predictor   v1beta1.PredictorSpec `json:"predictor"`
		Annotations map[string]string     `json:"annotations"`
		Labels      map[string]string     `json:"labels"`
		Metadata    []metadata.Attribute  `json:"metadata"`
	}{is.Spec.Predictor, templateAnnotations(is), templateLabels(is), ownedAttributes(is, attributes)})))
}

// OwnerUnchanged reports whether a recorded hash, of whatever version, is of
// what the owner decides now.
func OwnerUnchanged(lastApplied string, is *v1beta1.InferenceService, attributes []metadata.Attribute) bool {
	if strings.Contains(lastApplied, ":") {
		return lastApplied == OwnerHash(is, attributes)
	}
	return lastApplied != "" && lastApplied == unversionedOwnerHash(is, attributes)
}

// unversionedOwnerHash is what was recorded before there were versions: taken
// of Go's JSON, and of the annotations that went to a template then. It is
// empty for inputs without a JSON form, which were never recorded.
func unversionedOwnerHash(is *v1beta1.InferenceService, attributes []metadata.Attribute) string {
	data, err := json.Marshal(struct {
		Predictor   v1beta1.PredictorSpec `json:"predictor"`
		Annotations map[string]string     `json:"annotations,omitempty"`
		Metadata    []metadata.Attribute  `json:"metadata,omitempty"`
	}{is.Spec.Predictor, knativeAnnotations(is), ownedAttributes(is, attributes)})
	if err != nil {
		return ""
	}
	return hashOfBytes(data)
}

// ownedAttributes are the attributes whose change makes a Revision.
func ownedAttributes(is *v1beta1.InferenceService, attributes []metadata.Attribute) []metadata.Attribute {
	if logger := is.Spec.Predictor.Logger; logger == nil || logger.MetadataRefresh == v1beta1.RefreshLive {
		return nil
	}
	return attributes
}

func hashOfBytes(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// LoggerHash names what a LoggerBinding decides of the agent of a Knative Service,
// as OwnerHash does of an InferenceService.
func LoggerHash(logger *v1beta1.LoggerSpec, attributes []metadata.Attribute) string {
	if logger == nil || logger.MetadataRefresh == v1beta1.RefreshLive {
		attributes = nil
	}
	return ownerHashVersion + hashOfBytes(mustMarshal(whatIsSet(struct {
		Logger   *v1beta1.LoggerSpec  `json:"logger"`
		Metadata []metadata.Attribute `json:"metadata"`
	}{logger, attributes})))
}

// ContainerHash names a container as it is written.
func ContainerHash(container *corev1.Container) string { return hashOfBytes(mustMarshal(container)) }
