/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"context"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
)

const (
	// quiet is how long no exchange is under way before the agent counts as
	// idle: queue-proxy may still have one on its way.
	quiet = 500 * time.Millisecond
	// look is how often a condition is looked at while draining.
	look = 20 * time.Millisecond
)

// drain goes on serving until the agent is idle, then delivers what is left.
// Exchanges end when they end: the kubelet kills what takes longer than the
// pod's grace period, which the agent doesn't know. Only the delivery has a
// bound of its own. A second signal ends both at once.
func (a *Agent) drain(signals <-chan os.Signal) {
	a.logLedger("agent drains")
	// In case that the kubelet kills the agent before its exchanges are over.
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
		final:    a.statements.Close,
		delivered: func() bool {
			return a.pipeline.Empty() && a.spoolsEmpty() && a.pending() == 0
		},
		deliveryTimeout: a.drainTimeout,
	}
	if !end.exchanges(ctx) {
		a.logger.Warn("exchanges were still under way at the second signal", zap.Int64("active", a.handler.Active()))
		return
	}
	a.logger.Info("exchanges are over: what is left is delivered", zap.Duration("atMost", a.drainTimeout))
	end.delivery(ctx)
}

// ending is the end of an agent in two phases, over what it has to ask.
type ending struct {
	// begun and active are the numbers of exchanges that ever began and that
	// are under way.
	begun  func() uint64
	active func() int64
	// shutdown closes the port, and waits for requests that were already there.
	shutdown func(context.Context) error
	// final sends the last ledger event.
	final func()
	// delivered says whether nothing is left to deliver.
	delivered       func() bool
	deliveryTimeout time.Duration
}

// exchanges waits for the end of all exchanges, however long they take, and
// says whether they ended before ctx.
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
	// Idle: the listener may close now, and with it kept connections. A request
	// that came just before may still take its time. The server doesn't know of
	// tunnels any more.
	if e.shutdown(ctx) != nil || !await(ctx, func() bool { return e.active() == 0 }) {
		return false
	}
	e.final()
	return true
}

// delivery waits until nothing is left, or the time for it is over.
func (e ending) delivery(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, e.deliveryTimeout)
	defer cancel()
	await(ctx, e.delivered)
}

// await looks at a condition until it holds, and says whether it did before
// ctx was done.
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

// logLedger writes one line, which the logger never samples away.
func (a *Agent) logLedger(message string) {
	counts := make(map[string]ledger.Snapshot)
	for _, sink := range a.state().Sinks {
		counts[sink.Name] = sink.Ledger
	}
	a.logger.Info(message, zap.String("agentInstance", a.instance), zap.Int64("active", a.handler.Active()), zap.Any("ledger", counts))
}
