/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package resources

import (
	"strconv"

	"github.com/sidenote-dev/sidenote/pkg/apis/config"
)

// addTelemetry gives the arguments of what an agent exports, by the names of
// the ConfigMap's keys. What an agent would refuse is left out: it would take
// its model down.
func addTelemetry(argument func(name, value string), observability config.Observability) {
	given := func(name, value string) {
		if value != "" {
			argument(name, value)
		}
	}
	if metrics := observability.Metrics; metrics.Validate() == nil {
		given("metrics-protocol", string(metrics.Protocol))
		given("metrics-endpoint", metrics.Endpoint)
		if metrics.Interval > 0 {
			argument("metrics-export-interval", metrics.Interval.String())
		}
	}
	if traces := observability.Traces; traces.Validate() == nil && traces.On() {
		given("tracing-protocol", string(traces.Protocol))
		given("tracing-endpoint", traces.Endpoint)
		argument("tracing-sampling-rate", strconv.FormatFloat(traces.SamplingRate, 'g', -1, 64))
	}
}
