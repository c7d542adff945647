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
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/metrics"
)

// expositionAge is how old metrics may be that a scrape gets. Nobody scrapes more
// often to know more.
const expositionAge = time.Second

// Status is what /status answers.
type Status struct {
	AgentInstance string                     `json:"agentInstance"`
	Ready         bool                       `json:"ready"`
	Active        int64                      `json:"active"`
	Metadata      MetadataStatus             `json:"metadata"`
	Sinks         map[string]ledger.Snapshot `json:"sinks"`
	// Spools are those of the sinks that have one.
	Spools map[string]delivery.SpoolStatus `json:"spools,omitempty"`
	// Skipped counts exchanges of which nothing was observed, by reason, and
	// SkippedEvents sides whose kind of event isn't selected, by kind.
	Skipped       map[ledger.SkipReason]uint64 `json:"skipped,omitempty"`
	SkippedEvents map[string]uint64            `json:"skippedEvents,omitempty"`
	BufferUsed    int64                        `json:"bufferUsed"`
	BufferLimit   int64                        `json:"bufferLimit"`
}

// MetadataStatus names the metadata in force, and never its values.
type MetadataStatus struct {
	Hash       string   `json:"hash"`
	Attributes []string `json:"attributes"`
	Changes    uint64   `json:"changes"`
	Failures   uint64   `json:"failures"`
}

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

func (a *Agent) status() Status {
	state := a.state()
	status := Status{
		AgentInstance: a.instance,
		Ready:         state.ModelReady,
		Active:        state.Active,
		Metadata: MetadataStatus{
			Hash:     state.MetadataHash,
			Changes:  state.MetadataChanges,
			Failures: state.MetadataFailures,
		},
		Sinks:         make(map[string]ledger.Snapshot, len(state.Sinks)),
		Spools:        a.spoolStatuses(),
		Skipped:       state.Skipped.Exchanges,
		SkippedEvents: state.Skipped.Events,
		BufferUsed:    state.BufferUsed,
		BufferLimit:   state.BufferLimit,
	}
	for _, attribute := range a.metadata.Attributes() {
		status.Metadata.Attributes = append(status.Metadata.Attributes, attribute.Name)
	}
	for _, sink := range state.Sinks {
		status.Sinks[sink.Name] = sink.Ledger
	}
	return status
}

func (a *Agent) state() metrics.State {
	state := metrics.State{
		Skipped:          a.pipeline.Skips().Snapshot(),
		Active:           a.handler.Active(),
		BufferUsed:       a.budget.Used(),
		BufferLimit:      a.budget.Limit(),
		CaptureUsed:      a.budget.Captured(),
		ModelReady:       a.checker.Ready(),
		MetadataChanges:  a.metadata.Changes(),
		MetadataFailures: a.metadata.Failures(),
		MetadataHash:     a.metadata.Hash(),
		ExportFailures:   a.exports.Failures(),
	}
	now, spools := time.Now(), a.spoolStatuses()
	for _, sink := range a.sinks {
		seen := metrics.SinkState{Name: sink.Name(), Ledger: sink.Account().Snapshot(), QueueBytes: sink.HeldBytes()}
		if oldest := sink.Oldest(); !oldest.IsZero() {
			seen.OldestAge = now.Sub(oldest)
		}
		for _, sender := range a.sendersOf[sink.Name()] {
			seen.AddressFailures += sender.AddressFailures()
		}
		if spool, ok := spools[sink.Name()]; ok {
			seen.Spool = observedSpool(spool)
		}
		state.Sinks = append(state.Sinks, seen)
	}
	if len(a.sinks) == 0 {
		state.Sinks = []metrics.SinkState{{Name: noSink, Ledger: a.discard.Snapshot()}}
	}
	return state
}
