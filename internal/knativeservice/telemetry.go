/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/config"
)

// setTelemetry sets what an agent exports. What it would refuse is left out.
func setTelemetry(c *agentconfig.Config, observability config.Observability) {
	if metrics := observability.Metrics; metrics.Validate() == nil {
		c.MetricsExport = metrics
	}
	if traces := observability.Traces; traces.Validate() == nil && traces.On() {
		c.TracesExport = traces
	}
}
