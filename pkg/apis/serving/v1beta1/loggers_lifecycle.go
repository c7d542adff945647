/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"
	"slices"
	"strings"

	"knative.dev/pkg/apis"
)

// ComponentLogger is what is known of the logger of one component.
//
// +k8s:deepcopy-gen=false
type ComponentLogger struct {
	Component ComponentType
	// Status has the conditions of this logger alone.
	Status *InferenceServiceStatus
	// Unchanged are the conditions that hold as they are.
	Unchanged []apis.ConditionType
}

// PropagateLoggers says of all loggers together what is known of each. A
// condition is true if it is true of each logger that has it, and absent if none
// has it.
func (s *InferenceServiceStatus) PropagateLoggers(loggers []ComponentLogger) {
	manager := conditionSet.Manage(s)
	for _, condition := range loggerConditions {
		var exists bool
		var reason string
		var messages []string
		for _, logger := range loggers {
			of := logger.Status.GetCondition(condition)
			exists = exists || of != nil
			if !of.IsFalse() {
				continue
			}
			message := of.Message
			if logger.Component != PredictorComponent {
				message = fmt.Sprintf("logger of the %s: %s", logger.Component, message)
			}
			if reason == "" {
				reason = of.Reason
			}
			messages = append(messages, message)
		}
		switch {
		case slices.ContainsFunc(loggers, func(l ComponentLogger) bool { return slices.Contains(l.Unchanged, condition) }):
		case !exists:
			// The only error is that a condition may not be cleared, which holds for
			// none of these.
			_ = manager.ClearCondition(condition)
		case len(messages) == 0:
			manager.MarkTrue(condition)
		default:
			manager.MarkFalse(condition, reason, "%s", strings.Join(messages, "; "))
		}
	}
}
