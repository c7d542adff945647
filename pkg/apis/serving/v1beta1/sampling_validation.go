/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package v1beta1

import (
	"fmt"

	"knative.dev/pkg/apis"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

func (s *SamplingSpec) validate() (errs *apis.FieldError) {
	if s == nil {
		return nil
	}
	switch {
	case s.Percent == "" && s.OneIn == nil:
		missing := apis.ErrMissingOneOf("percent", "oneIn")
		missing.Details = "without one of them every exchange is sent: add it, or remove sampling"
		errs = errs.Also(missing)
	case s.Percent != "" && s.OneIn != nil:
		both := apis.ErrMultipleOneOf("percent", "oneIn")
		both.Details = "remove one of them"
		errs = errs.Also(both)
	}
	if s.Percent != "" {
		if _, err := agentconfig.ParsePercent(s.Percent); err != nil {
			errs = errs.Also(apis.ErrInvalidValue(s.Percent, "percent", err.Error()))
		}
	}
	if s.OneIn != nil && (*s.OneIn < 1 || *s.OneIn > agentconfig.MaxSamplingOneIn) {
		errs = errs.Also(apis.ErrOutOfBoundsValue(*s.OneIn, 1, agentconfig.MaxSamplingOneIn, "oneIn"))
	}
	if slower := s.KeepSlowerThan; slower != nil && (slower.Duration < agentconfig.MinKeepSlowerThan || slower.Duration > agentconfig.MaxKeepSlowerThan) {
		errs = errs.Also(apis.ErrInvalidValue(slower.Duration, "keepSlowerThan",
			fmt.Sprintf("write a duration from %s to %.0fh, such as 2s", agentconfig.MinKeepSlowerThan, agentconfig.MaxKeepSlowerThan.Hours())))
	}
	return errs
}

func (s *LoggerSpec) validateMaxEventsPerSecond() *apis.FieldError {
	const field, most = "maxEventsPerSecond", agentconfig.GreatestMaxEventsPerSecond
	if s.MaxEventsPerSecond == nil || (*s.MaxEventsPerSecond >= 1 && *s.MaxEventsPerSecond <= most) {
		return nil
	}
	return apis.ErrOutOfBoundsValue(*s.MaxEventsPerSecond, 1, most, field)
}
