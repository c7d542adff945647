/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1alpha1

import "github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"

// UnmarshalJSON decodes the specification and keeps the fields that it doesn't
// know. The logger keeps its own.
func (s *LoggerBindingSpec) UnmarshalJSON(data []byte) error {
	type known LoggerBindingSpec
	unknown, err := v1beta1.DecodeKeepingUnknown(data, (*known)(s))
	s.Unknown = unknown
	return err
}

// specAdvice says what to write instead of a field of spec.
var specAdvice = map[string]string{
	"sink":      "write it under spec.logger",
	"predictor": "write its logger as spec.logger, and select the Knative Service by spec.subject",
	"selector":  "write it under spec.subject",
}
