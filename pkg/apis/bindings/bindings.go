/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package bindings holds what every version of the bindings.sidenote.dev API
// group shares: its name, and the labels and annotations that mean something
// to Sidenote.
package bindings

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupName is the API group.
const GroupName = "bindings.sidenote.dev"

const (
	// IncludeLabelKey on a namespace, with the value "true", opts the namespace in:
	// only there does admission look at Knative Services.
	IncludeLabelKey = GroupName + "/include"
	// BoundAnnotationKey on a template holds the record of its agent: the binding,
	// the platform's settings at that time, and the parts of the template that the
	// agent took over. It is on the template, so that each Revision has its own.
	BoundAnnotationKey = GroupName + "/bound"
	// ServiceLabelKey is on each ConfigMap that Sidenote makes for a bound Knative
	// Service, with the name of the Knative Service as its value.
	ServiceLabelKey = GroupName + "/service"
)

// LoggerBindingResource is the resource of LoggerBindings, of any version.
var LoggerBindingResource = schema.GroupResource{Group: GroupName, Resource: "loggerbindings"}
