/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package serving holds what every version of the serving.kubeflow.org API
// group shares: its name, and the annotations and labels that mean something
// to Sidenote.
package serving

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupName is the API group, kept from KFServing so that its manifests with
// containers of their own keep working.
const GroupName = "serving.kubeflow.org"

// InferenceServiceLabelKey is on every object that Sidenote makes for an
// InferenceService, with the InferenceService's name as its value.
const InferenceServiceLabelKey = GroupName + "/inferenceservice"

// ComponentLabelKey is on every object that Sidenote makes for a component of
// an InferenceService, with the component's name as its value.
const ComponentLabelKey = GroupName + "/component"

// On the Knative Service, never on its template, for each change of a
// template makes a new Revision.
const (
	// OwnerHashAnnotationKey holds a hash of what the InferenceService's owner
	// decides: while it stays, what the platform decides stays too.
	OwnerHashAnnotationKey = GroupName + "/owner-hash"
	// LastAppliedAnnotationKey holds what the platform decided when the template
	// last changed: the agent's image and settings, the sink's address.
	LastAppliedAnnotationKey = GroupName + "/in-force"
)

// InferenceServiceResource is the resource of InferenceServices, of any
// version.
var InferenceServiceResource = schema.GroupResource{
	Group:    GroupName,
	Resource: "inferenceservices",
}
