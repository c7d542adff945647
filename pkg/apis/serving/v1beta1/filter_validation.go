/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"encoding/json"
	"errors"

	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/eventfilter"
)

// validateFilter refuses a filter that the agent wouldn't take: it compiles it as the
// agent does.
func validateFilter(filter *eventingv1.SubscriptionsAPIFilter) *apis.FieldError {
	if filter == nil {
		return nil
	}
	text, err := json.Marshal(filter)
	if err != nil {
		return apis.ErrGeneric("the filter has no JSON: " + err.Error())
	}
	_, err = eventfilter.Compile(string(text))
	var refused *eventfilter.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.Path != "":
		return &apis.FieldError{Message: "invalid filter", Paths: []string{refused.Path}, Details: refused.Err.Error()}
	default:
		return &apis.FieldError{Message: "invalid filter", Paths: []string{apis.CurrentField}, Details: errors.Unwrap(err).Error()}
	}
}
