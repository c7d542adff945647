/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"context"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
)

const (
	// quiet is how long the agent must be without an exchange to count as idle,
	// because queue-proxy may still send one.
	quiet = 500 * time.Millisecond
	// look is the time between two checks of a condition while draining.
	look = 20 * time.Millisecond
)

// drain serves until the agent is idle, then delivers the remaining events. It
// cuts no exchange off: the kubelet does that at the end of the pod's grace
// period, which the agent doesn't know. Only the delivery has a timeout. A second
// signal ends both at once.
func (a *Agent) drain(signals <-chan os.Signal) {
	a.logLedger("agent drains")
	// The kubelet may kill the agent before its exchanges are over.
	a.statements.Issue()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-signals:
			a.logger.Info("second signal: the agent ends at once")
			cancel()
		case <-ctx.Done():
		}
	}()
	for _, sink := range a.sinks {
		sink.OldestFirst()
	}
	end := ending{
		begun:    a.handler.Begun,
		active:   a.handler.Active,
		shutdown: a.server.Shutdown,
		final: func() {
			a.awaitFilters(ctx)
			a.statements.Close()
		},
		delivered: func() bool {
			return a.pipeline.Empty() && a.spoolsEmpty() && a.pending() == 0
		},
		deliveryTimeout: a.drainTimeout,
	}
	if !end.exchanges(ctx) {
		a.logger.Warn("exchanges were still in flight at the second signal", zap.Int64("active", a.handler.Active()))
		return
	}
	a.logger.Info("all exchanges have ended: delivering the remaining events", zap.Duration("atMost", a.drainTimeout))
	end.delivery(ctx)
}

// awaitFilters waits until every event has passed the filters of the sinks, or for
// the drain timeout. An event has no number before its filter, and the last ledger
// event must have the highest.
func (a *Agent) awaitFilters(ctx context.Context) {
	if !slices.ContainsFunc(a.subscriptions, func(s event.Subscription) bool { return s.Filter != nil }) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, a.drainTimeout)
	defer cancel()
	await(ctx, a.pipeline.Empty)
}

// ending is the end of an agent in two phases: exchanges, then delivery.
type ending struct {
	// begun counts all exchanges so far, active those in flight.
	begun  func() uint64
	active func() int64
	// shutdown closes the port and waits for the remaining requests.
	shutdown func(context.Context) error
	// final sends the last ledger event.
	final func()
	// delivered reports whether all events have ended.
	delivered       func() bool
	deliveryTimeout time.Duration
}

// exchanges waits for the end of all exchanges, however long they take. It
// reports whether they ended before ctx was done.
func (e ending) exchanges(ctx context.Context) bool {
	idleSince := time.Now()
	served := e.begun()
	if !await(ctx, func() bool {
		if begun := e.begun(); e.active() > 0 || begun != served {
			served, idleSince = begun, time.Now()
		}
		return time.Since(idleSince) >= quiet
	}) {
		return false
	}
	// The agent is idle, so the listener and idle connections may close. A request
	// that has just come may still take time. The server doesn't know of tunnels.
	if e.shutdown(ctx) != nil || !await(ctx, func() bool { return e.active() == 0 }) {
		return false
	}
	e.final()
	return true
}

// delivery waits until all events have ended, or for deliveryTimeout.
func (e ending) delivery(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.deliveryTimeout)
	defer cancel()
	await(ctx, e.delivered)
}

// await checks a condition until it holds. It reports whether it held before ctx
// was done.
func await(ctx context.Context, condition func() bool) bool {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
	return true
}

func (a *Agent) pending() uint64 {
	pending := uint64(0)
	for _, sink := range a.sinks {
		pending += sink.Account().Snapshot().Pending
	}
	return pending
}

// logLedger writes one line. The logger's sampling never drops it.
func (a *Agent) logLedger(message string) {
	a.logger.Info(message, zap.String("agentInstance", a.instance), zap.Int64("active", a.handler.Active()), zap.Any("ledger", a.status().Sinks))
}
