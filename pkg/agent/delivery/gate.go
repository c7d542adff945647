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
	// their results say nothing new.
	epoch uint64
	// begun counts attempts. failedProbe is the last attempt whose failure counted,
	// and told says that the sink has said since then when to come back.
	begun, failedProbe uint64
	told               bool
}

// ticket is what the gate gives an attempt, to be given back with its result.
type ticket struct {
	epoch uint64
	// number is the attempt's place among all, from 1, and probe says that it
	// began while the gate was closed.
	number uint64
	probe  bool
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

// begin counts an attempt in, and gives the ticket to end it with.
func (g *gate) begin(now time.Time) ticket {
	g.inFlight++
	g.lastBegun = now
	g.begun++
	return ticket{epoch: g.epoch, number: g.begun, probe: g.closed}
}

// succeeded ends an attempt that the sink answered for good.
func (g *gate) succeeded(t ticket) {
	g.inFlight--
	if t.epoch != g.epoch && !g.outlives(t) {
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

// outlives says whether a probe's success counts although a probe failed while
// it was in flight: the one that failed is older, and hung until its timeout.
func (g *gate) outlives(t ticket) bool {
	return g.closed && t.probe && t.number > g.failedProbe && !g.told
}

// failed ends an attempt that is to be tried again, and closes the gate.
func (g *gate) failed(t ticket, now time.Time, retryAfter time.Duration, random float64) {
	g.inFlight--
	until := now.Add(retryAfter)
	g.told = g.told || retryAfter > 0
	if t.epoch == g.epoch {
		g.epoch++
		if !g.closed {
			g.closed, g.since = true, now
		}
		g.failures++
		g.failedProbe, g.told = t.number, retryAfter > 0
		from := now
		if t.probe && t.number < g.begun {
			// The sink was probed again while this attempt hung.
			from = g.lastBegun
		}
		if next := from.Add(Backoff(g.failures, random)); next.After(until) {
			until = next
		}
	}
	if until.After(g.notBefore) {
		g.notBefore = until
	}
}

// abandoned ends an attempt that says nothing about the sink.
func (g *gate) abandoned() { g.inFlight-- }
