/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/panics"
)

// part is something that the agent starts and ends.
type part struct {
	// run has a function for each goroutine. It returns when ctx is done.
	run []func(ctx context.Context)
	// end is called at the beginning of Shutdown. It may be nil.
	end func()
	// most bounds the wait of Shutdown for run; 0 is no bound. late is the message
	// to log when that is not enough.
	most time.Duration
	late string

	stop   context.CancelFunc
	active sync.WaitGroup
}

// Start starts the part's goroutines.
func (p *part) Start(panics panics.Handler) {
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	for _, run := range p.run {
		p.active.Go(func() { panics.Agent(func() { run(ctx) }) })
	}
}

// Shutdown ends the part, and reports whether it ended in time.
func (p *part) Shutdown() bool {
	if p.end != nil {
		p.end()
	}
	p.stop()
	return waitFor(&p.active, p.most)
}

// serving is a part that serves until Shutdown. It cuts off what is in flight.
func serving(server *http.Server, listener net.Listener, failed chan<- error) *part {
	return &part{
		run: []func(context.Context){func(context.Context) { failed <- server.Serve(listener) }},
		end: func() { server.Close() },
	}
}

// waitFor waits for a group, for at most a time unless that is 0, and reports
// whether the group ended.
func waitFor(group *sync.WaitGroup, most time.Duration) bool {
	if most == 0 {
		group.Wait()
		return true
	}
	ended := make(chan struct{})
	go func() {
		group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return true
	case <-time.After(most):
		return false
	}
}
