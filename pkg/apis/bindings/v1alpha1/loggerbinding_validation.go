/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import (
	"context"

	"knative.dev/pkg/apis"
)

// Validate implements apis.Validatable.
func (b *LoggerBinding) Validate(context.Context) *apis.FieldError {
	if b.Spec.Logger == nil {
		return apis.ErrMissingField("spec.logger")
	}
	return nil
}
