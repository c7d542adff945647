/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package readiness runs the model's own probes and reports whether the model is
// ready. The agent owns the pod's port, so the pod's probes reach the agent.
// Serving's prober isn't used because it needs the Kubernetes client.
package readiness

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// maxWait is how long a negative response waits for the model to become ready.
// It is below the 100 ms after which queue-proxy's probe times out.
const maxWait = 75 * time.Millisecond

// Checker probes the model in a loop, and responds to probes of the agent with
// the last result. It is safe for concurrent use.
type Checker struct {
	run      func(ctx context.Context, probe *agentconfig.Probe) error
	observer Observer

	mu    sync.Mutex
	state state
	// becameReady is closed while the model is ready.
	becameReady chan struct{}
}

// Observer is notified of a Checker's results.
type Observer struct {
	// Changed is called when readiness changes.
	Changed func(ready bool)
	// NotStarted is called once, when the startup probe has failed
	// failureThreshold times.
	NotStarted func(failures int32)
	// Panics handles a panic in a probe, which counts as a failure.
	Panics panics.Handler
}

// NewChecker returns a checker of a model on host. startup may be nil.
func NewChecker(host string, startup, readiness *agentconfig.Probe, observer Observer) *Checker {
	return &Checker{
		run:         newProber(host).run,
		observer:    observer,
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
		probeContext, cancel := context.WithTimeout(ctx, seconds(probe.TimeoutSeconds))
		succeeded := false
		c.observer.Panics.Event(func() { succeeded = c.run(probeContext, probe) == nil })
		cancel()
		if ctx.Err() != nil {
			return
		}
		timer.Reset(c.record(succeeded))
	}
}

func (c *Checker) record(succeeded bool) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, hadFailed := c.state.ready, c.state.failedToStart()
	c.state.record(succeeded)
	if c.state.failedToStart() && !hadFailed {
		c.observer.NotStarted(c.state.failures)
	}
	if c.state.ready != before {
		if c.state.ready {
			close(c.becameReady)
		} else {
			c.becameReady = make(chan struct{})
		}
		c.observer.Changed(c.state.ready)
	}
	return c.state.pause()
}

// Ready reports whether the model is ready.
func (c *Checker) Ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.ready
}

// unreadiness says why the model is not ready.
func (c *Checker) unreadiness() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state.failedToStart():
		return fmt.Sprintf("the model has not started: its startup probe failed %d times, its failureThreshold is %d",
			c.state.failures, c.state.startup.FailureThreshold)
	case !c.state.started:
		return "the model has not started"
	default:
		return "the model is not ready"
	}
}

// ServeHTTP responds with 200 where the model is ready, and with 503 where it
// isn't.
func (c *Checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	becameReady := c.becameReady
	c.mu.Unlock()
	timer := time.NewTimer(maxWait)
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
		http.Error(w, c.unreadiness(), http.StatusServiceUnavailable)
	case <-r.Context().Done():
	}
}
