/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package statement sends ledger events. Each is a statement of a sink's
// account, from which a subscriber learns how many events the agent knows to be
// lost, and which event is its last.
package statement

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// Settings say what statements contain beside the figures, and when they are due.
type Settings struct {
	Builder   *event.Builder
	Selection event.Selection
	Mode      agentconfig.Mode
	// Interval is the shortest time between two statements.
	Interval time.Duration
	// Deadline is the time after which an undelivered statement is dropped.
	Deadline time.Duration
	// Started is the agent's start time.
	Started time.Time
	// Skips counts exchanges and events that were not selected.
	Skips *ledger.Skips
	// Panics says what becomes of panics.
	Panics panics.Handler
}

// Issuer makes statements and hands them to the sinks. Statements take nothing
// of the agent's byte budget, because a full budget is what they must report.
// They have a bound of their own: two small events in memory for each sink. It is
// safe for concurrent use.
type Issuer struct {
	settings Settings

	mu     sync.Mutex
	sinks  []*account
	closed bool
}

// account is one sink, and the figures of its last statement.
type account struct {
	*delivery.Sink
	last ledger.Snapshot
	// skipped is the number of skipped exchanges of inference at that time.
	skipped uint64
	// waiting is the number of statements that the sink holds in memory.
	waiting atomic.Int32
}

// NewIssuer returns an issuer of statements to sinks. It issues none where the
// selection has no ledger events.
func NewIssuer(settings Settings, sinks []*delivery.Sink) *Issuer {
	i := &Issuer{settings: settings}
	if !settings.Selection[agentconfig.KindLedger] {
		return i
	}
	for _, sink := range sinks {
		i.sinks = append(i.sinks, &account{Sink: sink})
	}
	return i
}

// Run issues statements until ctx is done.
func (i *Issuer) Run(ctx context.Context) {
	if len(i.sinks) == 0 {
		return
	}
	ticker := time.NewTicker(i.settings.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			i.Issue()
		}
	}
}

// Issue sends a statement to each sink for which one is due.
func (i *Issuer) Issue() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return
	}
	skipped := i.settings.Skips.Snapshot().OfInference()
	for _, a := range i.sinks {
		// A sink that holds a statement takes no events. One is enough.
		if a.waiting.Load() == 0 && (skipped > a.skipped || due(a.last, a.Account().Snapshot())) {
			i.issue(a, false)
		}
	}
}

// Close sends the last statement to each sink that had an event, or would have
// had one of a kind that is not selected. The last statement goes ahead of all
// queued events. Call Close when no exchange is left; no statement follows.
func (i *Issuer) Close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return
	}
	i.closed = true
	for _, a := range i.sinks {
		if figures := a.Account().Snapshot(); figures.Observed+figures.Recovered+i.settings.Skips.Snapshot().OfInference() > 0 {
			i.issue(a, true)
		}
	}
}

// due reports whether a new statement is due: an event was observed or
// recovered, all pending events have ended, or the last statement was lost.
// Without the last two, an agent without requests would leave the subscriber with
// old figures. A statement that was delivered is no reason for the next.
func due(last, now ledger.Snapshot) bool {
	switch {
	case now.Observed+now.Recovered > last.Observed+last.Recovered:
		return true
	case now.Observed+now.Recovered == 0, now.Pending > 0:
		return false
	default:
		taken := last.Pending == 1 && now.Delivered == last.Delivered+1
		return !taken
	}
}

func (i *Issuer) issue(a *account, final bool) {
	at := time.Now()
	figures := a.Account().ObserveStatement()
	a.last = figures
	var built *event.Event
	var err error
	sound := i.settings.Panics.Event(func() {
		skipped := i.settings.Skips.Snapshot()
		a.skipped = skipped.OfInference()
		built, err = i.settings.Builder.Ledger(i.statement(a.Name(), figures, skipped, final), uuid.NewString(), at)
	})
	if err != nil || !sound {
		a.Account().Drop(ledger.ReasonInvalid)
		return
	}
	a.waiting.Add(1)
	a.Enqueue(&delivery.Item{
		Event:    built,
		Sequence: figures.Observed,
		Observed: at,
		Deadline: at.Add(i.settings.Deadline),
		Ahead:    final,
		Release:  func() { a.waiting.Add(-1) },
	})
}

func (i *Issuer) statement(sink string, figures ledger.Snapshot, skipped ledger.Skipped, final bool) ledger.Statement {
	kinds := make([]string, 0, len(i.settings.Selection))
	for _, kind := range i.settings.Selection.Kinds() {
		kinds = append(kinds, string(kind))
	}
	return ledger.Statement{
		AgentInstance:   i.settings.Builder.Identity.AgentInstance,
		Sink:            sink,
		Sequence:        figures.Observed,
		Final:           final,
		Counts:          figures.Counts,
		Skipped:         skipped.Exchanges,
		SkippedEvents:   skipped.Events,
		Mode:            string(i.settings.Mode),
		Events:          kinds,
		Started:         i.settings.Started.UTC(),
		IntervalSeconds: i.settings.Interval.Seconds(),
	}
}
