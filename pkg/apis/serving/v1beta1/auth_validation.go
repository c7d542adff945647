/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import "knative.dev/pkg/apis"

func (a *SinkAuth) validate() *apis.FieldError {
	return nil // TODO(auth)
}
