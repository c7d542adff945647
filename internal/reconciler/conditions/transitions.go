/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package conditions makes Kubernetes events of conditions that change.
package conditions

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
)

// Event is a Kubernetes event about an object.
type Event struct{ Type, Reason, Message string }

// Transitions returns an event for each of some conditions that turned false, or
// true again.
func Transitions(before, after *duckv1.Status, of ...apis.ConditionType) (events []Event) {
	for _, condition := range of {
		was, now := before.GetCondition(condition), after.GetCondition(condition)
		switch {
		case now == nil:
		case now.IsFalse() && (was == nil || was.Message != now.Message):
			events = append(events, Event{corev1.EventTypeWarning, now.Reason, now.Message})
		case now.IsTrue() && was != nil && was.IsFalse():
			events = append(events, Event{corev1.EventTypeNormal, string(condition), fmt.Sprintf("%s is true again", condition)})
		}
	}
	return events
}
