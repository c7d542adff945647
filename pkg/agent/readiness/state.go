/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package readiness

import "time"

// eager is the pause between probes of a model that was never ready: as short
// as queue-proxy's own, so that a cold start is no slower for the agent.
const eager = 50 * time.Millisecond

// state decides, from the results of probes, whether a model is ready and when
// to probe next. It is pure: time comes in by its arguments.
type state struct {
	startup, readiness *Probe

	started   bool
	ready     bool
	everReady bool
	successes int32
	failures  int32
}

func newState(startup, readiness *Probe) state {
	return state{startup: startup, readiness: readiness, started: startup == nil}
}

// probe is the one to run now: the startup probe holds back the other one
// until it has succeeded.
func (s *state) probe() *Probe {
	if !s.started {
		return s.startup
	}
	return s.readiness
}

// record takes a result of probe.
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
		// Its failureThreshold would restart the container, which is the
		// kubelet's to do: here a slow model just isn't ready yet.
		if succeeded {
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

// pause is how long to wait before the next probe.
func (s *state) pause() time.Duration {
	if !s.everReady {
		if s.started && s.startup != nil && s.successes == 0 && s.failures == 0 {
			// The startup probe has just succeeded.
			return s.readiness.initialDelay()
		}
		return eager
	}
	return s.readiness.period()
}

// delay is how long to wait before the first probe.
func (s *state) delay() time.Duration { return s.probe().initialDelay() }
