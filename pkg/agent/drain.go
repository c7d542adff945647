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

// drain goes on serving until idle, then delivers what is left. It ends at the
// latest after the drain timeout, and at once on a second signal.
func (a *Agent) drain(signals <-chan os.Signal) {
	a.logLedger("agent drains")
	// In case that the exchanges under way outlast the drain.
	a.statements.Issue()
	ctx, cancel := context.WithTimeout(context.Background(), a.drainTimeout)
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

	idleSince := time.Now()
	served := a.handler.Begun()
	if !await(ctx, func() bool {
		if begun := a.handler.Begun(); a.handler.Active() > 0 || begun != served {
			served, idleSince = begun, time.Now()
		}
		return time.Since(idleSince) >= quiet
	}) {
		a.logger.Warn("exchanges were still under way at the end of the drain", zap.Int64("active", a.handler.Active()))
		return
	}
	// Idle: the listener may close now, and with it kept connections.
	if a.server.Shutdown(ctx) == nil && await(ctx, func() bool { return a.handler.Active() == 0 }) {
		a.statements.Close()
	}
	await(ctx, func() bool { return a.pipeline.Empty() && a.spoolsEmpty() && a.pending() == 0 })
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
	a.logger.Info(message, zap.String("agentInstance", a.instance), zap.Any("ledger", counts))
}
