/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package statement sends each sink statements of its account: ledger events,
// by which a subscriber knows what the agent itself knows to be lost, and where
// an agent's events end.
package statement

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/sidenote-dev/sidenote/pkg/agent/delivery"
	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agent/panics"
)

// Settings say what statements say beside the figures, and when.
type Settings struct {
	Builder   *event.Builder
	Selection event.Selection
	Mode      event.Mode
	// Interval is the pace of statements.
	Interval time.Duration
	// Deadline is how long after it was made a statement is given up.
	Deadline time.Duration
	// Started is when the agent was.
	Started time.Time
	// Skips counts what was to give no event.
	Skips *ledger.Skips
	// Panics says what becomes of panics.
	Panics panics.Handler
}

// Issuer makes statements and hands them to the sinks. What it has waiting
// takes nothing of the agent's byte budget, or events that fill that would keep
// from the subscriber that they did: it is bounded by itself, to two small
// events for each sink in memory. It is safe for concurrent use.
type Issuer struct {
	settings Settings

	mu     sync.Mutex
	sinks  []*account
	closed bool
}

// account is one sink, and what it was told last.
type account struct {
	*delivery.Sink
	last ledger.Snapshot
	// skipped is what of inference had been skipped then.
	skipped uint64
	// waiting is the number of statements that the sink holds in memory.
	waiting atomic.Int32
}

// NewIssuer gives an issuer of statements to sinks, or one that issues none
// where the selection has no ledger events.
func NewIssuer(settings Settings, sinks []*delivery.Sink) *Issuer {
	i := &Issuer{settings: settings}
	if !settings.Selection[event.KindLedger] {
		return i
	}
	for _, sink := range sinks {
		i.sinks = append(i.sinks, &account{Sink: sink})
	}
	return i
}

// Run issues statements at the pace until ctx is done.
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

// Issue sends a statement to each sink that one is due for.
func (i *Issuer) Issue() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return
	}
	skipped := i.settings.Skips.Snapshot().OfInference()
	for _, a := range i.sinks {
		// One that waits says enough: the sink takes nothing.
		if a.waiting.Load() == 0 && (skipped > a.skipped || due(a.last, a.Account().Snapshot())) {
			i.issue(a, false)
		}
	}
}

// Close sends the last statement to each sink that ever had an event, or would
// have had one of another kind, ahead of all that waits. It is to be called when nothing can be observed any more, and
// no statement follows.
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

// due says whether there is something to tell since the last statement: an
// event was observed or recovered, or those that were pending have come to an
// end, or the sink didn't take the statement itself. Without the last two, an
// agent that gets no requests any more would leave the subscriber with old
// figures; with them alone, each statement would bring about the next.
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
		Observed:        figures.Observed,
		Recovered:       figures.Recovered,
		Delivered:       figures.Delivered,
		Dropped:         figures.Dropped,
		DeadLettered:    figures.DeadLettered,
		Pending:         figures.Pending,
		Skipped:         skipped.Exchanges,
		SkippedEvents:   skipped.Events,
		Mode:            string(i.settings.Mode),
		Events:          kinds,
		Started:         i.settings.Started.UTC(),
		IntervalSeconds: i.settings.Interval.Seconds(),
	}
}
