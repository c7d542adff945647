/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package ledger

import "time"

// Statement is the data of a ledger event: the counts of all events for one
// sink, this event included. docs/event-contract.md has its fields. The fields
// of Counts are among them.
type Statement struct {
	// AgentInstance is the event's attribute agentinstance.
	AgentInstance string `json:"agentinstance"`
	// Sink is the name of the sink.
	Sink string `json:"sink"`
	// Sequence is the event's own agentsequence as a number. The figures count
	// the events up to it.
	Sequence uint64 `json:"sequence"`
	// Final says that no event of this agent follows.
	Final bool `json:"final"`

	// Observed equals Sequence. Pending includes the ledger event itself.
	// Recovered counts events from an earlier start of the agent, which the other
	// figures include.
	Counts

	// Skipped counts exchanges that give no event, by reason. SkippedEvents counts
	// events of kinds that the sink doesn't select, by kind.
	Skipped       map[SkipReason]uint64 `json:"skipped"`
	SkippedEvents map[string]uint64     `json:"skippedEvents"`
	// Filtered counts events that the sink's filter left out. Without a filter it is
	// absent.
	Filtered uint64 `json:"filtered,omitempty"`
	// Mode and Events are the sink's selection.
	Mode   string   `json:"mode"`
	Events []string `json:"events"`
	// Started is the agent's start time.
	Started time.Time `json:"started"`
	// IntervalSeconds is the shortest time between two ledger events.
	IntervalSeconds float64 `json:"intervalSeconds"`
}
