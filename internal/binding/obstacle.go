/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package binding

import "github.com/sidenote-dev/sidenote/pkg/apis/bindings/v1alpha1"

// Obstacle says why the template of a Knative Service can't have the agent, or
// can't be changed now, and what to do about it.
type Obstacle struct {
	Reason v1alpha1.SubjectReason
	// Message says what is in the way, and the remedy.
	Message string
}

func (o *Obstacle) Error() string { return string(o.Reason) + ": " + o.Message }
