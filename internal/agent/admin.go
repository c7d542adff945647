/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package agent

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/adminport"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/status"
)

// expositionAge is how old metrics may be that a scrape gets. Nobody scrapes more
// often to know more.
const expositionAge = time.Second

func (a *Agent) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", a.checker)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	if a.exposition != nil {
		mux.Handle("GET /metrics", adminport.Page(a.exposition, expositionAge))
	}
	// Made anew for everybody, so that it says what is so.
	mux.Handle("GET /status", adminport.Page(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a.status())
	}), 0))
	return mux
}

func (a *Agent) status() status.Status {
	// Ask the pipeline first: an event that leaves it is in its sink then.
	handedOver, skipped := a.pipeline.HandedOver(), a.pipeline.Skips().Snapshot()
	now := status.Status{
		AgentInstance:  a.instance,
		Ready:          a.checker.Ready(),
		Active:         a.handler.Active(),
		Metadata:       a.metadata.Status(),
		Sinks:          make(map[string]delivery.SinkStatus, len(a.sinks)),
		Spools:         make(map[string]delivery.SpoolStatus),
		Skipped:        skipped.Exchanges,
		SkippedEvents:  skipped.Events,
		Usage:          a.budget.Usage(),
		LeftOut:        a.headers.LeftOut(),
		ExportFailures: a.exports.Failures(),
	}
	now.Metadata.Failures += a.guard.Failures()
	for i, sink := range a.sinks {
		now.Sinks[sink.Name()] = sink.Status()
		if spool, ok := sink.SpoolStatus(handedOver[i]); ok {
			now.Spools[sink.Name()] = spool
		}
	}
	if len(a.sinks) == 0 {
		now.Sinks[noSink] = delivery.SinkStatus{Snapshot: a.discard.Snapshot()}
	}
	return now
}
