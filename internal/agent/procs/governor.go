/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package procs sets GOMAXPROCS to what the load needs. With one processor the Go
// scheduler wakes no idle threads, which is a large part of an agent's CPU time
// under light load (docs/performance.md). Under heavy load the agent has all its
// processors.
package procs

import (
	"context"
	"os"
	"runtime"
	"time"
)

// interval is the time between two looks at the load.
const interval = 100 * time.Millisecond

// Governor sets GOMAXPROCS between 1 and its value at the start. A nil Governor
// does nothing.
type Governor struct {
	load load
	// used is the CPU time of the process so far.
	used func() (time.Duration, bool)
	// set sets GOMAXPROCS.
	set      func(procs int)
	longWork chan struct{}
}

// New returns a governor. The value of GOMAXPROCS is its upper bound.
func New() *Governor {
	limit := runtime.GOMAXPROCS(0)
	return newGovernor(limit, processTime, func(procs int) {
		if _, given := os.LookupEnv("GOMAXPROCS"); procs == limit && !given {
			// The runtime goes on to follow the container's limit.
			runtime.SetDefaultGOMAXPROCS()
			return
		}
		runtime.GOMAXPROCS(procs)
	})
}

func newGovernor(limit int, used func() (time.Duration, bool), set func(int)) *Governor {
	return &Governor{load: load{limit: limit, procs: limit}, used: used, set: set, longWork: make(chan struct{}, 1)}
}

// LongWork says that work begins which may keep a processor busy for milliseconds.
// It doesn't block. Exchanges then have the other processors.
func (g *Governor) LongWork() {
	if g == nil {
		return
	}
	select {
	case g.longWork <- struct{}{}:
	default:
	}
}

// Run governs until ctx is done, and then sets GOMAXPROCS to its bound again.
func (g *Governor) Run(ctx context.Context) {
	if g == nil {
		return
	}
	before, known := g.used()
	if g.load.limit == 1 || !known {
		return
	}
	defer g.change(g.load.limit)
	g.change(1)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := time.Now()
	for {
		longWork := false
		select {
		case <-ctx.Done():
			return
		case <-g.longWork:
			longWork = true
		case <-ticker.C:
		}
		now := time.Now()
		used, _ := g.used()
		g.change(g.load.next(used-before, now.Sub(last), longWork))
		before, last = used, now
	}
}

func (g *Governor) change(procs int) {
	if procs != g.load.procs {
		g.load.procs = procs
		g.set(procs)
	}
}
