/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"knative.dev/pkg/webhook/resourcesemantics"
)

var (
	_ resourcesemantics.VerbLimited        = (*LoggerBinding)(nil)
	_ resourcesemantics.SubResourceLimited = (*LoggerBinding)(nil)
)

// SupportedVerbs are the operations that the webhook validates. Without DELETE
// a LoggerBinding and its namespace can be deleted while the webhook is down.
func (*LoggerBinding) SupportedVerbs() []admissionregistrationv1.OperationType {
	return []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
}

// SupportedSubResources is the resource itself. Without /status the controller
// can write the status while the webhook is down.
func (*LoggerBinding) SupportedSubResources() []string { return []string{""} }
