/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package status has what an agent says of itself: /status responds with a
// Status, and the metrics observe one.
package status

import (
	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/refresh"
)

// Status is an agent at one instant. What isn't in its JSON is in the metrics
// only.
type Status struct {
	AgentInstance string `json:"agentInstance"`
	// Ready says that the model is ready.
	Ready bool `json:"ready"`
	// Active counts exchanges in flight.
	Active   int64          `json:"active"`
	Metadata refresh.Status `json:"metadata"`
	// Sinks has the status of each sink by its name, and Spools that of the spools
	// of those that have one.
	Sinks  map[string]delivery.SinkStatus  `json:"sinks"`
	Spools map[string]delivery.SpoolStatus `json:"spools,omitempty"`
	// Skipped counts exchanges of which nothing was observed, by reason, and
	// SkippedEvents sides whose kind of event isn't selected, by kind.
	Skipped       map[ledger.SkipReason]uint64 `json:"skipped,omitempty"`
	SkippedEvents map[string]uint64            `json:"skippedEvents,omitempty"`
	// LeftOut counts, by reason, attributes that events lack because of the value of
	// a request's header.
	LeftOut map[event.LeftOutReason]uint64 `json:"leftOutHeaders,omitempty"`
	capture.Usage
	// ExportFailures counts, by signal, exports that no collector accepted.
	ExportFailures map[string]uint64 `json:"-"`
}
