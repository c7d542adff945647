/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	eventingv1 "knative.dev/eventing/pkg/apis/eventing/v1"
	"knative.dev/pkg/apis"
)

func validateFilter(filter *eventingv1.SubscriptionsAPIFilter) *apis.FieldError {
	return nil // TODO(filter)
}
