/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

func (s *SamplingSpec) validate() (errs *apis.FieldError) {
	return nil // TODO(sampling)
}

func (s *LoggerSpec) validateMaxEventsPerSecond() *apis.FieldError {
	const field, most = "maxEventsPerSecond", agentconfig.GreatestMaxEventsPerSecond
	if s.MaxEventsPerSecond == nil || (*s.MaxEventsPerSecond >= 1 && *s.MaxEventsPerSecond <= most) {
		return nil
	}
	return apis.ErrOutOfBoundsValue(*s.MaxEventsPerSecond, 1, most, field)
}
