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
	Builder *event.Builder
	// Selection and Mode are those of each sink where there are no Subscriptions.
	Selection event.Selection
	Mode      agentconfig.Mode
	// Subscriptions has that of each sink.
	Subscriptions []event.Subscription
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
	subscription event.Subscription
	last         ledger.Snapshot
	// skipped is the number of what was skipped of inference at that time.
	skipped uint64
	// waiting is the number of statements that the sink holds in memory.
	waiting atomic.Int32
}

// NewIssuer returns an issuer of statements to sinks. It issues none to a sink that
// doesn't select ledger events.
func NewIssuer(settings Settings, sinks []*delivery.Sink) *Issuer {
	i := &Issuer{settings: settings}
	for n, sink := range sinks {
		subscription := event.Subscription{Mode: settings.Mode, Selection: settings.Selection}
		if len(settings.Subscriptions) > 0 {
			subscription = settings.Subscriptions[n]
		}
		if subscription.Selection[agentconfig.KindLedger] {
			i.sinks = append(i.sinks, &account{Sink: sink, subscription: subscription})
		}
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
	skipped := i.settings.Skips.Snapshot()
	for _, a := range i.sinks {
		now := a.Account().Snapshot()
		// A sink that holds a statement takes no events. One is enough.
		if a.waiting.Load() == 0 && (skipped.OfInference()+now.Skipped() > a.skipped || due(a.last, now)) {
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
		if figures := a.Account().Snapshot(); figures.Observed+figures.Recovered+figures.Skipped()+i.settings.Skips.Snapshot().OfInference() > 0 {
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
	at, id := time.Now(), uuid.NewString()
	if !i.passes(a, id, at) {
		return
	}
	figures := a.Account().ObserveStatement()
	a.last = figures
	var built *event.Event
	var err error
	sound := i.settings.Panics.Event(func() {
		skipped := i.settings.Skips.Snapshot()
		a.skipped = skipped.OfInference() + figures.Skipped()
		if built, err = i.settings.Builder.Ledger(i.statement(a, figures, skipped, final), id, at); err == nil && a.subscription.Reshapes() {
			built, err = built.As(a.subscription.Profile)
		}
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

// passes reports whether the sink's filter lets a statement through. It must be
// known before the statement has its place in the sequence. The filter sees
// attributes only, so it judges one without figures. What it leaves out is no event
// that was skipped: it would be news for the next statement.
func (i *Issuer) passes(a *account, id string, at time.Time) bool {
	if a.subscription.Filter == nil {
		return true
	}
	passes := true
	i.settings.Panics.Event(func() {
		if draft, err := i.settings.Builder.Ledger(ledger.Statement{}, id, at); err == nil {
			passes = a.subscription.Passes(draft)
		}
	})
	return passes
}

func (i *Issuer) statement(a *account, figures ledger.Snapshot, skipped ledger.Skipped, final bool) ledger.Statement {
	kinds := make([]string, 0, len(a.subscription.Selection))
	for _, kind := range a.subscription.Selection.Kinds() {
		kinds = append(kinds, string(kind))
	}
	// They are a copy.
	for kind, count := range figures.SkippedEvents {
		skipped.Events[kind] += count
	}
	return ledger.Statement{
		AgentInstance:   i.settings.Builder.Identity.AgentInstance,
		Sink:            a.Name(),
		Sequence:        figures.Observed,
		Final:           final,
		Counts:          figures.Counts,
		Skipped:         skipped.Exchanges,
		SkippedEvents:   skipped.Events,
		Filtered:        figures.Filtered,
		Mode:            string(a.subscription.Mode),
		Events:          kinds,
		Started:         i.settings.Started.UTC(),
		IntervalSeconds: i.settings.Interval.Seconds(),
	}
}
