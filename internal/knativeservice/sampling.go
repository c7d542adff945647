/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package knativeservice

import (
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/apis/serving/v1beta1"
)

// addSampling adds which exchanges give events, and how many events there may be.
func (d *agentDraft) addSampling(logger *v1beta1.LoggerSpec) {
	if most := logger.MaxEventsPerSecond; most != nil {
		d.addOfLogger("maxEventsPerSecond", func(c *agentconfig.Config) error { c.MaxEventsPerSecond = *most; return nil })
	}
	sampling := logger.Sampling
	if sampling == nil {
		return
	}
	if sampling.Percent != "" {
		d.addOfLogger("sampling.percent", func(c *agentconfig.Config) (err error) {
			c.Sampling.Percent, err = agentconfig.ParsePercent(sampling.Percent)
			return err
		})
	}
	if oneIn := sampling.OneIn; oneIn != nil {
		d.addOfLogger("sampling.oneIn", func(c *agentconfig.Config) error { c.Sampling.OneIn = *oneIn; return nil })
	}
	if sampling.KeepFailures {
		d.addOfLogger("sampling.keepFailures", func(c *agentconfig.Config) error { c.Sampling.KeepFailures = true; return nil })
	}
	if slower := sampling.KeepSlowerThan; slower != nil {
		d.addOfLogger("sampling.keepSlowerThan", func(c *agentconfig.Config) error { c.Sampling.KeepSlowerThan = slower.Duration; return nil })
	}
}
