/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"knative.dev/pkg/webhook/resourcesemantics"
)

var (
	_ resourcesemantics.VerbLimited        = (*InferenceService)(nil)
	_ resourcesemantics.SubResourceLimited = (*InferenceService)(nil)
)

// SupportedVerbs are the operations that the webhook validates. Without DELETE
// an InferenceService and its namespace can be deleted while the webhook is
// down.
func (*InferenceService) SupportedVerbs() []admissionregistrationv1.OperationType {
	return []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
}

// SupportedSubResources is the resource itself. Without /status the controller
// can write the status while the webhook is down.
func (*InferenceService) SupportedSubResources() []string { return []string{""} }
