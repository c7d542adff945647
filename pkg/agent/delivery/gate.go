/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "time"

// gate holds attempts back from a sink that fails: after a failure it closes
// for a backoff, then lets one probe at a time through until one succeeds, and
// then opens slowly.
type gate struct {
	// first and most bound how many attempts may be in flight at once.
	first, most int

	limit     int
	inFlight  int
	failures  int
	notBefore time.Time
	closed    bool
	// since is when it closed.
	since time.Time
	// epoch tells attempts that began before the gate closed from its probes:
	// what they come to says nothing new.
	epoch uint64
}

func newGate(first, most int) gate {
	return gate{first: first, most: most, limit: first}
}

// allows says whether an attempt may begin now.
func (g *gate) allows(now time.Time) bool {
	if g.closed {
		return g.inFlight == 0 && !now.Before(g.notBefore)
	}
	return g.inFlight < g.limit
}

// opens is when the gate may allow an attempt without anything else happening:
// zero where it waits for one that is in flight.
func (g *gate) opens() time.Time {
	if g.closed && g.inFlight == 0 {
		return g.notBefore
	}
	return time.Time{}
}

// begin counts an attempt in, and gives the epoch to end it with.
func (g *gate) begin() uint64 {
	g.inFlight++
	return g.epoch
}

// succeeded ends an attempt that the sink answered for good.
func (g *gate) succeeded(epoch uint64) {
	g.inFlight--
	if epoch != g.epoch {
		return
	}
	if g.closed {
		g.closed = false
		g.failures = 0
		g.limit = 1
	}
	g.limit = min(2*g.limit, g.most)
}

// failed ends an attempt that is to be tried again, and closes the gate.
func (g *gate) failed(epoch uint64, now time.Time, retryAfter time.Duration, random float64) {
	g.inFlight--
	wait := retryAfter
	if epoch == g.epoch {
		g.epoch++
		if !g.closed {
			g.closed, g.since = true, now
		}
		g.failures++
		wait = max(retryAfter, Backoff(g.failures, random))
	}
	if until := now.Add(wait); until.After(g.notBefore) {
		g.notBefore = until
	}
}

// abandoned ends an attempt that says nothing about the sink.
func (g *gate) abandoned() { g.inFlight-- }
