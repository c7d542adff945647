/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package event

import "encoding/base64"

const (
	// MaxErrorBytes is how much of a sink's response an event carries: what is
	// maxErrorData in base64.
	MaxErrorBytes = maxErrorData / 4 * 3

	maxErrorData = 1 << 10

	// The extension attributes of a dead letter (knative.dev/eventing,
	// pkg/kncloudevents/attributes).
	errorDestination = "knativeerrordest"
	errorCode        = "knativeerrorcode"
	errorData        = "knativeerrordata"

	// noErrorCode is Eventing's knativeerrorcode where there was no response.
	noErrorCode = -1
)

// Failure is what became of an event at its sink.
type Failure struct {
	// Destination is the sink's URL.
	Destination string
	// Status is the sink's response, or 0 where it gave none.
	Status int
	// Body is the response's beginning, at most MaxErrorBytes.
	Body []byte
}

// DeadLetter returns the event with what became of it as attributes, as
// Eventing's own dispatchers set them: the response's body in base64. Data is
// shared, not copied.
func (e *Event) DeadLetter(failure Failure) (*Event, error) {
	letter := *e
	letter.own = make(extensions, len(e.own), len(e.own)+3)
	copy(letter.own, e.own)
	code := int32(failure.Status)
	if failure.Status == 0 {
		code = noErrorCode
	}
	letter.own.set(extension{name: errorDestination, text: failure.Destination})
	letter.own.setInteger(errorCode, code)
	if len(failure.Body) > 0 {
		letter.own.setText(errorData, base64.StdEncoding.EncodeToString(failure.Body[:min(len(failure.Body), MaxErrorBytes)]))
	}
	return finish(&letter)
}
