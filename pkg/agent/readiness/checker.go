/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package readiness

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// patience is how long an unready answer is held back in case the model gets
// ready meanwhile: under the 100 ms after which queue-proxy gives a probe up.
const patience = 75 * time.Millisecond

// Checker probes the model in a loop of its own and answers from what it
// knows. It is safe for concurrent use.
type Checker struct {
	run      func(ctx context.Context, probe *Probe) error
	onChange func(ready bool)

	mu    sync.Mutex
	state state
	// becameReady is closed while the model is ready.
	becameReady chan struct{}
}

// NewChecker gives a checker of a model on host. startup may be nil. onChange
// is told when readiness changes.
func NewChecker(host string, startup, readiness *Probe, onChange func(ready bool)) *Checker {
	return &Checker{
		run:         newProber(host).run,
		onChange:    onChange,
		state:       newState(startup, readiness),
		becameReady: make(chan struct{}),
	}
}

// Run probes until ctx is done, one probe at a time.
func (c *Checker) Run(ctx context.Context) {
	timer := time.NewTimer(c.state.delay())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		c.mu.Lock()
		probe := c.state.probe()
		c.mu.Unlock()
		probeContext, cancel := context.WithTimeout(ctx, probe.timeout())
		err := c.run(probeContext, probe)
		cancel()
		if ctx.Err() != nil {
			return
		}
		timer.Reset(c.record(err == nil))
	}
}

func (c *Checker) record(succeeded bool) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.state.ready
	c.state.record(succeeded)
	if c.state.ready != before {
		if c.state.ready {
			close(c.becameReady)
		} else {
			c.becameReady = make(chan struct{})
		}
		c.onChange(c.state.ready)
	}
	return c.state.pause()
}

// Ready says whether the model is ready.
func (c *Checker) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.ready
}

// ServeHTTP answers 200 where the model is ready, and 503 where it isn't.
func (c *Checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	becameReady := c.becameReady
	c.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-becameReady:
		w.WriteHeader(http.StatusOK)
		return
	default:
	}
	select {
	case <-becameReady:
		w.WriteHeader(http.StatusOK)
	case <-timer.C:
		http.Error(w, "the model is not ready", http.StatusServiceUnavailable)
	case <-r.Context().Done():
	}
}
