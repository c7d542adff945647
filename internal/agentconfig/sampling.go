/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agentconfig

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Bounds of Sampling.KeepSlowerThan. Durations of exchanges are in milliseconds, and
// one of days is more likely a typing error than a model.
const (
	MinKeepSlowerThan = time.Millisecond
	MaxKeepSlowerThan = 24 * time.Hour
)

// PercentUnits is how many units of a percentage's last digit 100 % has. So the
// smallest percentage selects one of so many exchanges.
const PercentUnits = 1_000_000

// percentPattern bounds the digits, so that each percentage is a whole number of
// units.
var percentPattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,2})(\.[0-9]{1,4})?$`)

// ParsePercent reads a decimal number above 0 and up to 100, with at most four
// digits after the point.
func ParsePercent(s string) (float64, error) {
	if percentPattern.MatchString(s) {
		if percent, err := strconv.ParseFloat(s, 64); err == nil && percent > 0 && percent <= 100 {
			return percent, nil
		}
	}
	return 0, fmt.Errorf("invalid percentage %q: must be a decimal number above 0 and up to 100, with at most four digits after the point, such as 0.5", s)
}

// Selects reports whether it selects exchanges by chance.
func (s Sampling) Selects() bool { return s.Percent > 0 || s.OneIn > 0 }

// defaultKinds lists the kinds that are sent by default. Failures that are kept are
// among them.
func (s Sampling) defaultKinds() []Kind {
	if s.KeepFailures {
		return append(DefaultKinds(), KindRequestFailure, KindResponseFailure)
	}
	return DefaultKinds()
}

// validate says what must not be combined, and what is missing.
func (s Sampling) validate() error {
	const missing = "without sampling every exchange gives events: add --sampling-percent or --sampling-one-in, or remove it"
	switch {
	case s.Percent > 0 && s.OneIn > 0:
		return &ArgumentError{"sampling-one-in", errors.New("a percentage is given, too: remove one of --sampling-percent and --sampling-one-in")}
	case s.Selects():
		return nil
	case s.KeepFailures:
		return &ArgumentError{"keep-failures", errors.New(missing)}
	case s.KeepSlowerThan > 0:
		return &ArgumentError{"keep-slower-than", errors.New(missing)}
	default:
		return nil
	}
}
