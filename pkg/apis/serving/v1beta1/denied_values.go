/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"context"
	"fmt"

	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
)

// refuseDeniedValue refuses a value that the cluster lets no event carry. What names
// its source. The error never quotes the value.
func refuseDeniedValue(ctx context.Context, what, value string, paths ...string) *apis.FieldError {
	pattern, denied := config.FromContextOrDefaults(ctx).Logger.DeniedValues.Match(value)
	if !denied {
		return nil
	}
	return &apis.FieldError{
		Message: fmt.Sprintf("the value of %s must not be sent", what),
		Paths:   paths,
		Details: fmt.Sprintf("denied-values of the cluster's %s denies it by the pattern %q: change the value, or don't list it", config.LoggerConfigName, pattern),
	}
}
