/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "time"

// breaker is a circuit breaker: it holds attempts back from a sink that fails.
// A failure opens the circuit for a backoff. After it, one probe at a time may
// begin until one succeeds. Then the circuit is closed, and the bound of
// attempts in flight grows slowly.
type breaker struct {
	// first and most bound how many attempts may be in flight at once.
	first, most int
	// hangsAfter is how long the youngest attempt goes without a response before
	// it no longer holds back the next one; 0 is forever.
	hangsAfter time.Duration

	limit     int
	inFlight  int
	failures  int
	lastBegun time.Time
	notBefore time.Time
	open      bool
	// since is when the circuit was opened.
	since time.Time
	// epoch tells attempts that began before the circuit opened from its probes.
	// Results from an earlier epoch are ignored.
	epoch uint64
	// begun counts attempts. failedProbe is the last attempt whose failure counted.
	// retryAfterSeen reports whether the sink has sent a Retry-After since then.
	begun, failedProbe uint64
	retryAfterSeen     bool
}

// ticket identifies an attempt. The breaker issues it, and takes it back with
// the attempt's result.
type ticket struct {
	epoch uint64
	// number is the attempt's place among all, from 1. probe reports whether it
	// began while the circuit was open.
	number uint64
	probe  bool
}

func newBreaker(first, most int, hangsAfter time.Duration) breaker {
	return breaker{first: first, most: most, hangsAfter: hangsAfter, limit: first}
}

// allows reports whether an attempt may begin now.
func (b *breaker) allows(now time.Time) bool {
	if b.open && now.Before(b.notBefore) {
		return false
	}
	return !b.full() || b.hangsAfter > 0 && !now.Before(b.lastBegun.Add(b.hangsAfter))
}

// full reports whether another attempt may begin only because those in flight
// hang.
func (b *breaker) full() bool { return b.inFlight >= b.room() }

// room is how many attempts may be in flight while none hangs.
func (b *breaker) room() int {
	if b.open {
		return 1
	}
	return b.limit
}

// nextAttempt is when an attempt may begin if no other one ends before. It is
// never where the breaker waits for an attempt in flight.
func (b *breaker) nextAttempt() alarm {
	next := never
	if b.full() {
		if b.hangsAfter == 0 {
			return never
		}
		next = alarmAt(b.lastBegun.Add(b.hangsAfter))
	}
	if b.open {
		next = next.latest(b.notBefore)
	}
	return next
}

// begin counts an attempt that begins now.
func (b *breaker) begin(now time.Time) ticket {
	b.inFlight++
	b.lastBegun = now
	b.begun++
	return ticket{epoch: b.epoch, number: b.begun, probe: b.open}
}

// succeeded ends an attempt that the sink responded to for good.
func (b *breaker) succeeded(t ticket) {
	b.inFlight--
	if t.epoch != b.epoch && !b.outlives(t) {
		return
	}
	more := b.limit
	if b.open {
		b.open = false
		b.failures = 0
		b.epoch++
		// Attempts that still hang take no room from new ones.
		b.limit, more = b.inFlight, 2
	}
	b.limit = min(b.limit+more, b.most)
}

// outlives reports whether a probe's success counts although a probe failed
// while it was in flight: the failed one is older, and hung until its timeout.
func (b *breaker) outlives(t ticket) bool {
	return b.open && t.probe && t.number > b.failedProbe && !b.retryAfterSeen
}

// failed ends an attempt that is to be tried again, and opens the circuit.
func (b *breaker) failed(t ticket, now time.Time, retryAfter time.Duration, random float64) {
	b.inFlight--
	until := now.Add(retryAfter)
	b.retryAfterSeen = b.retryAfterSeen || retryAfter > 0
	if t.epoch == b.epoch {
		b.epoch++
		if !b.open {
			b.open, b.since = true, now
		}
		b.failures++
		b.failedProbe, b.retryAfterSeen = t.number, retryAfter > 0
		from := now
		if t.probe && t.number < b.begun {
			// The sink was probed again while this attempt hung.
			from = b.lastBegun
		}
		if next := from.Add(Backoff(b.failures, random)); next.After(until) {
			until = next
		}
	}
	if until.After(b.notBefore) {
		b.notBefore = until
	}
}

// abandoned ends an attempt that says nothing about the sink.
func (b *breaker) abandoned() { b.inFlight-- }
