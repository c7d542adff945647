/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package ledger counts what became of every event, for each sink, so that at
// every instant observed + recovered = delivered + dropped + dead-lettered +
// pending.
package ledger

import (
	"maps"
	"sync"
)

// Reason says why an event was dropped. The set is closed: it labels metrics.
type Reason string

// The reasons of drops. docs/reference/reasons.md is generated from their
// comments.
const (
	// ReasonBudget: the byte budget, or the sink's share of it, had no room for the
	// event or its body. If the oversize kind is selected, an event of that kind is
	// sent instead.
	ReasonBudget Reason = "budget"
	// ReasonRate: the exchange would have exceeded logger.maxEventsPerSecond.
	ReasonRate Reason = "rate"
	// ReasonNoSink: there is no sink, or it has no address.
	ReasonNoSink Reason = "nosink"
	// ReasonRejected: the sink refused the event with a status that is not retried.
	ReasonRejected Reason = "rejected"
	// ReasonRetries: each of the retries that delivery.retry allows failed, or the
	// event waited as long as its retries last while the sink accepted nothing.
	ReasonRetries Reason = "retries"
	// ReasonAddress: the sink's name resolves to a forbidden address.
	ReasonAddress Reason = "address"
	// ReasonPoison: the event failed three times while others succeeded, and no
	// retry is set.
	ReasonPoison Reason = "poison"
	// ReasonExpired: the event wasn't delivered within 10 minutes, or within an hour
	// if it was spooled.
	ReasonExpired Reason = "expired"
	// ReasonEncoded: the body couldn't be decoded, and the encoded kind isn't
	// selected.
	ReasonEncoded Reason = "encoded"
	// ReasonInvalid: CloudEvents can't express the event, or the work on it
	// panicked. No input should cause either.
	ReasonInvalid Reason = "invalid"
	// ReasonOverflow: the spool reached its limit and dropped its oldest events.
	ReasonOverflow Reason = "overflow"
	// ReasonUnreadable: the event is missing or damaged in the spool's files.
	ReasonUnreadable Reason = "unreadable"
	// ReasonShutdown: the agent ended first. If the event was spooled, it is still
	// on the disk, and the next agent with the same volume delivers it.
	ReasonShutdown Reason = "shutdown"
)

// SkipReason says why an exchange was not observed. The set is closed.
type SkipReason string

// The reasons of skips. docs/reference/reasons.md is generated from their
// comments.
const (
	// SkipLoop: the request carries a loop event, or a small body that may be one.
	// An event of it would continue the loop.
	SkipLoop SkipReason = "loop"
	// SkipProbe: the request is a health probe, a request for metadata or a metrics
	// scrape.
	SkipProbe SkipReason = "probe"
	// SkipPath: logger.paths doesn't select the path.
	SkipPath SkipReason = "path"
	// SkipSampling: logger.sampling doesn't select the exchange, and its outcome
	// doesn't keep it.
	SkipSampling SkipReason = "sampling"
	// SkipOverload: max-exchanges requests were in flight. The agent responded with
	// 503, and the model didn't get the request.
	SkipOverload SkipReason = "overload"
)

// Counts say what became of the events for one sink.
type Counts struct {
	Observed uint64 `json:"observed"`
	// Recovered counts events that an earlier process spooled, once they are read
	// back or known to be lost.
	Recovered    uint64            `json:"recovered"`
	Delivered    uint64            `json:"delivered"`
	Dropped      map[Reason]uint64 `json:"dropped"`
	DeadLettered uint64            `json:"deadLettered"`
	Pending      uint64            `json:"pending"`
}

// Snapshot is an Account at one instant.
type Snapshot struct {
	Counts
	// Retried counts attempts after the first.
	Retried uint64 `json:"retried"`
	// Spooled counts events that were written to the spool. They are pending
	// until they end.
	Spooled uint64 `json:"spooled"`
	// SkippedEvents counts events, by kind, that another sink gets and this one
	// doesn't, because it doesn't select the kind.
	SkippedEvents map[string]uint64 `json:"skippedEvents,omitempty"`
	// Filtered counts events that the sink's filter left out. They are not among
	// the observed ones.
	Filtered uint64 `json:"filtered,omitempty"`
}

// Skipped counts the events that were not for this sink although another one may
// have got them.
func (s Snapshot) Skipped() uint64 {
	total := s.Filtered
	for _, count := range s.SkippedEvents {
		total += count
	}
	return total
}

// DroppedTotal is the sum over all reasons.
func (c Counts) DroppedTotal() uint64 {
	total := uint64(0)
	for _, count := range c.Dropped {
		total += count
	}
	return total
}

// Account is one sink's side of the ledger. It is safe for concurrent use.
type Account struct {
	mu       sync.Mutex
	snapshot Snapshot
}

// Observe counts a new pending event, and returns its sequence number: the
// first event to this sink has 1.
func (a *Account) Observe() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snapshot.Observed++
	a.snapshot.Pending++
	return a.snapshot.Observed
}

// SkipEvent counts an event of a kind that this sink doesn't select and another one
// does.
func (a *Account) SkipEvent(kind string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.snapshot.SkippedEvents == nil {
		a.snapshot.SkippedEvents = make(map[string]uint64)
	}
	a.snapshot.SkippedEvents[kind]++
}

// Filter counts an event that the sink's filter left out. It was not observed.
func (a *Account) Filter() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snapshot.Filtered++
}

// Recover counts events of an earlier process as pending.
func (a *Account) Recover(events uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snapshot.Recovered += events
	a.snapshot.Pending += events
}

// Spool counts a pending event that was written to the spool.
func (a *Account) Spool() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snapshot.Spooled++
}

// ObserveStatement counts a ledger event, and returns the figures for it. They
// include that event as pending, and their Observed is its sequence number.
func (a *Account) ObserveStatement() Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snapshot.Observed++
	a.snapshot.Pending++
	return a.copy()
}

// Deliver ends a pending event: the sink accepted it.
func (a *Account) Deliver() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snapshot.Pending--
	a.snapshot.Delivered++
}

// DeadLetter ends a pending event: the dead letter sink accepted it.
func (a *Account) DeadLetter() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snapshot.Pending--
	a.snapshot.DeadLettered++
}

// Drop ends a pending event: it is lost.
func (a *Account) Drop(reason Reason) { a.DropAll(1, reason) }

// DropAll ends a number of pending events: they are lost.
func (a *Account) DropAll(events uint64, reason Reason) {
	if events == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.snapshot.Dropped == nil {
		a.snapshot.Dropped = make(map[Reason]uint64)
	}
	a.snapshot.Pending -= events
	a.snapshot.Dropped[reason] += events
}

// Retry counts an attempt after the first.
func (a *Account) Retry() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snapshot.Retried++
}

// Snapshot returns a consistent copy.
func (a *Account) Snapshot() Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.copy()
}

func (a *Account) copy() Snapshot {
	copied := a.snapshot
	copied.Dropped = make(map[Reason]uint64, len(a.snapshot.Dropped))
	maps.Copy(copied.Dropped, a.snapshot.Dropped)
	copied.SkippedEvents = maps.Clone(a.snapshot.SkippedEvents)
	return copied
}

// Skips counts exchanges and events that the configuration leaves out. It is
// safe for concurrent use, and its zero value is ready to use.
type Skips struct {
	mu       sync.Mutex
	snapshot Skipped
}

// Skipped are Skips at one instant.
type Skipped struct {
	// Exchanges counts exchanges that were not observed, by reason.
	Exchanges map[SkipReason]uint64
	// Events counts events of kinds that are not selected, by kind.
	Events map[string]uint64
}

// OfInference counts what was skipped of inference. Probes and other paths don't
// count.
func (s Skipped) OfInference() uint64 {
	total := s.Exchanges[SkipLoop] + s.Exchanges[SkipSampling]
	for _, count := range s.Events {
		total += count
	}
	return total
}

// Skip counts an exchange.
func (s *Skips) Skip(reason SkipReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshot.Exchanges == nil {
		s.snapshot.Exchanges = make(map[SkipReason]uint64)
	}
	s.snapshot.Exchanges[reason]++
}

// SkipEvent counts an event of a kind.
func (s *Skips) SkipEvent(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshot.Events == nil {
		s.snapshot.Events = make(map[string]uint64)
	}
	s.snapshot.Events[kind]++
}

// Snapshot returns a consistent copy.
func (s *Skips) Snapshot() Skipped {
	s.mu.Lock()
	defer s.mu.Unlock()
	copied := Skipped{
		Exchanges: make(map[SkipReason]uint64, len(s.snapshot.Exchanges)),
		Events:    make(map[string]uint64, len(s.snapshot.Events)),
	}
	maps.Copy(copied.Exchanges, s.snapshot.Exchanges)
	maps.Copy(copied.Events, s.snapshot.Events)
	return copied
}

// Reasons lists every Reason.
func Reasons() []Reason {
	return []Reason{
		ReasonBudget, ReasonRate, ReasonNoSink, ReasonRejected, ReasonRetries, ReasonAddress,
		ReasonPoison, ReasonExpired, ReasonEncoded, ReasonInvalid, ReasonOverflow,
		ReasonUnreadable, ReasonShutdown,
	}
}

// SkipReasons lists every SkipReason.
func SkipReasons() []SkipReason {
	return []SkipReason{SkipLoop, SkipProbe, SkipPath, SkipSampling, SkipOverload}
}
