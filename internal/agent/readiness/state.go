/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package readiness

import (
	"time"

	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// eager is the pause between readiness probes of a model that was never ready.
// It is as short as queue-proxy's, so that the agent doesn't slow a cold start
// down. Kubernetes may probe an unready container more often than each
// periodSeconds, too.
const eager = 50 * time.Millisecond

// state decides from the results of probes whether a model is ready, and when to
// probe next. It has no clock.
type state struct {
	startup, readiness *agentconfig.Probe

	started   bool
	ready     bool
	everReady bool
	successes int32
	failures  int32
}

func newState(startup, readiness *agentconfig.Probe) state {
	return state{startup: startup, readiness: readiness, started: startup == nil}
}

// probe is the next probe to run: the startup probe until it has succeeded, then
// the readiness probe.
func (s *state) probe() *agentconfig.Probe {
	if !s.started {
		return s.startup
	}
	return s.readiness
}

// record takes the result of a probe.
func (s *state) record(succeeded bool) {
	if succeeded {
		s.successes++
		s.failures = 0
	} else {
		s.failures++
		s.successes = 0
	}
	switch {
	case !s.started:
		if s.successes >= s.startup.SuccessThreshold {
			s.started = true
			s.successes = 0
		}
	case !s.ready:
		s.ready = s.successes >= s.readiness.SuccessThreshold
		s.everReady = s.everReady || s.ready
	case s.failures >= s.readiness.FailureThreshold:
		s.ready = false
	}
}

// failedToStart reports whether the startup probe has failed failureThreshold
// times. Only the kubelet can restart a container, so the agent keeps probing.
func (s *state) failedToStart() bool {
	return !s.started && s.failures >= s.startup.FailureThreshold
}

// pause is how long to wait before the next probe.
func (s *state) pause() time.Duration {
	switch {
	case !s.started:
		return seconds(s.startup.PeriodSeconds)
	case s.everReady:
		return seconds(s.readiness.PeriodSeconds)
	case s.startup != nil && s.successes == 0 && s.failures == 0:
		// The startup probe has just succeeded.
		return seconds(s.readiness.InitialDelaySeconds)
	default:
		return eager
	}
}

// delay is how long to wait before the first probe.
func (s *state) delay() time.Duration { return seconds(s.probe().InitialDelaySeconds) }

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }
