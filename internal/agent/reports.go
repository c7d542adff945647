/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"go.uber.org/zap"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
	"github.com/sidenote-dev/sidenote/internal/agent/proxy"
)

// exitPanic is the exit code after a panic. Code 2 means a wrong argument.
const exitPanic = 3

// panics handles panics. A panic in the work on one event costs that event. Any
// other ends the agent, because its state is unknown and a lock may be held for
// ever. The kubelet starts it again.
func (a *Agent) panics() panics.Handler {
	return panics.Handler{
		OnEvent: func(place panics.Place) {
			a.logger.Error("a panic while processing an event: the event is dropped for invalid", zap.String("place", string(place)))
		},
		OnAgent: func(place panics.Place) {
			a.logger.Error("a panic ends the agent", zap.String("place", string(place)))
			a.exit(exitPanic)
		},
	}
}

func (a *Agent) noResponse(class proxy.ErrorClass) {
	a.metrics.NoResponse(string(class))
	if class != proxy.ErrorCanceled {
		a.logger.Warn("no response from the model", zap.String("cause", string(class)))
	}
}

func (a *Agent) logNotStarted(failures int32) {
	a.logger.Warn("the model has not started: its startup probe has reached its failureThreshold; the agent keeps probing",
		zap.Int32("failures", failures))
}

// refused counts an exchange that there was no room for.
func (a *Agent) refused() {
	a.pipeline.Skips().Skip(ledger.SkipOverload)
	a.logger.Warn("refused a request: max-exchanges exchanges are in flight", zap.Int64("active", a.handler.Active()))
}

func (a *Agent) logReadiness(ready bool) {
	a.logger.Info("the model's readiness changed", zap.Bool("ready", ready))
	if ready {
		// What an earlier process left takes nothing from a cold start.
		for _, sink := range a.sinks {
			sink.ReadSpool()
		}
	}
}
