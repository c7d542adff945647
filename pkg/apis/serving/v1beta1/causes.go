/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import "knative.dev/pkg/apis"

// AddCause makes a condition false for one more cause. A condition that is false
// already keeps its reason, and its message comes first.
func AddCause(manager apis.ConditionManager, condition apis.ConditionType, reason, message string) {
	if said := manager.GetCondition(condition); said.IsFalse() {
		reason, message = said.Reason, said.Message+"; "+message
	}
	manager.MarkFalse(condition, reason, "%s", message)
}

// AddMainCause makes a condition false for a cause that matters more than the
// others: the condition gets its reason, and its message comes first.
func AddMainCause(manager apis.ConditionManager, condition apis.ConditionType, reason, message string) {
	if said := manager.GetCondition(condition); said.IsFalse() {
		message += "; " + said.Message
	}
	manager.MarkFalse(condition, reason, "%s", message)
}
