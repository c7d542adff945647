/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import "knative.dev/pkg/apis"

// The conditions of a LoggerBinding.
const (
	// SinkResolved: the sink has an address.
	SinkResolved apis.ConditionType = "SinkResolved"
	// SubjectsBound: each selected Knative Service has the agent that the binding
	// describes.
	SubjectsBound apis.ConditionType = "SubjectsBound"
)

var conditionSet = apis.NewLivingConditionSet(SinkResolved, SubjectsBound)

// InitializeConditions sets every condition that isn't known yet to Unknown.
func (s *LoggerBindingStatus) InitializeConditions() {
	conditionSet.Manage(s).InitializeConditions()
}
