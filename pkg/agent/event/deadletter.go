/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import (
	"encoding/base64"
	"fmt"
)

const (
	// MaxErrorBytes is how much of a sink's answer an event carries: what is
	// maxErrorData in base64.
	MaxErrorBytes = maxErrorData / 4 * 3

	maxErrorData = 1 << 10

	// The extension attributes of a dead letter (knative.dev/eventing,
	// pkg/kncloudevents/attributes).
	errorDestination = "knativeerrordest"
	errorCode        = "knativeerrorcode"
	errorData        = "knativeerrordata"

	// noErrorCode is Eventing's knativeerrorcode where there was no answer.
	noErrorCode = -1
)

// Failure is what became of an event at its sink.
type Failure struct {
	// Destination is the sink's URL.
	Destination string
	// Status is the sink's answer, or 0 where it gave none.
	Status int
	// Body is the answer's beginning, at most MaxErrorBytes.
	Body []byte
}

// DeadLetter gives the event with what became of it as attributes, as
// Eventing's own dispatchers set them: the answer's body in base64. Data is
// shared, not copied.
func (e *Event) DeadLetter(failure Failure) (*Event, error) {
	letter := *e
	letter.attributes = e.attributes.Clone()
	context := letter.attributes.Context.AsV1()
	code := int32(failure.Status)
	if failure.Status == 0 {
		code = noErrorCode
	}
	context.Extensions[errorDestination] = failure.Destination
	context.Extensions[errorCode] = code
	if len(failure.Body) > 0 {
		context.Extensions[errorData] = base64.StdEncoding.EncodeToString(failure.Body[:min(len(failure.Body), MaxErrorBytes)])
	}
	letter.attributes.Context = context
	if err := letter.attributes.Validate(); err != nil {
		return nil, fmt.Errorf("making a dead letter: %w", err)
	}
	letter.headerSize = headerSize(context)
	letter.structured = letter.mode.structured(&letter)
	return &letter, nil
}
