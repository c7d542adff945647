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
	// hangsAfter is how long the youngest attempt goes without an answer before
	// it no longer holds back the next one; 0 is for ever.
	hangsAfter time.Duration

	limit     int
	inFlight  int
	failures  int
	lastBegun time.Time
	notBefore time.Time
	closed    bool
	// since is when it closed.
	since time.Time
	// epoch tells attempts that began before the gate closed from its probes:
	// what they come to says nothing new.
	epoch uint64
}

func newGate(first, most int, hangsAfter time.Duration) gate {
	return gate{first: first, most: most, hangsAfter: hangsAfter, limit: first}
}

// allows says whether an attempt may begin now.
func (g *gate) allows(now time.Time) bool {
	if g.closed && now.Before(g.notBefore) {
		return false
	}
	if !g.hangs() {
		return true
	}
	return g.hangsAfter > 0 && !now.Before(g.lastBegun.Add(g.hangsAfter))
}

// hangs says whether an attempt that begins now does so because those that are
// in flight give no answer.
func (g *gate) hangs() bool { return g.inFlight >= g.room() }

// room is how many attempts may be in flight while none hangs.
func (g *gate) room() int {
	if g.closed {
		return 1
	}
	return g.limit
}

// opens is when the gate may allow an attempt without anything else happening:
// zero where it waits for one that is in flight.
func (g *gate) opens() time.Time {
	opens := time.Time{}
	if g.inFlight >= g.room() {
		if g.hangsAfter == 0 {
			return opens
		}
		opens = g.lastBegun.Add(g.hangsAfter)
	}
	if g.closed && g.notBefore.After(opens) {
		opens = g.notBefore
	}
	return opens
}

// begin counts an attempt in, and gives the epoch to end it with.
func (g *gate) begin(now time.Time) uint64 {
	g.inFlight++
	g.lastBegun = now
	return g.epoch
}

// succeeded ends an attempt that the sink answered for good.
func (g *gate) succeeded(epoch uint64) {
	g.inFlight--
	if epoch != g.epoch {
		return
	}
	more := g.limit
	if g.closed {
		g.closed = false
		g.failures = 0
		g.epoch++
		// Those that still hang take no room from the ones that will not.
		g.limit, more = g.inFlight, 2
	}
	g.limit = min(g.limit+more, g.most)
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
