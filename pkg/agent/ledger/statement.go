/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package ledger

import "time"

// Statement is the data of a ledger event: what an agent says of all events
// that it had for one sink, that one included. docs/event-contract.md has its
// fields; those of Snapshot are among them.
type Statement struct {
	// AgentInstance is the event's attribute agentinstance.
	AgentInstance string `json:"agentinstance"`
	// Sink is the name of the sink that the figures are of.
	Sink string `json:"sink"`
	// Sequence is the event's own place, agentsequence as a number: the figures
	// are those of the events up to it.
	Sequence uint64 `json:"sequence"`
	// Final says that no event of this agent follows.
	Final bool `json:"final"`

	// Observed is Sequence. Pending has the ledger event itself. Recovered are
	// events that an earlier start of the agent numbered: the other figures have
	// those, too.
	Observed     uint64            `json:"observed"`
	Recovered    uint64            `json:"recovered"`
	Delivered    uint64            `json:"delivered"`
	Dropped      map[Reason]uint64 `json:"dropped"`
	DeadLettered uint64            `json:"deadLettered"`
	Pending      uint64            `json:"pending"`

	// Skipped counts exchanges of the agent that were to give no event, and
	// SkippedEvents, by their kind, events of kinds that are not selected.
	Skipped       map[SkipReason]uint64 `json:"skipped"`
	SkippedEvents map[string]uint64     `json:"skippedEvents"`
	// Mode and Events say what was to give one.
	Mode   string   `json:"mode"`
	Events []string `json:"events"`
	// Started is when the agent was.
	Started time.Time `json:"started"`
	// IntervalSeconds is the pace of ledger events while there is something new.
	IntervalSeconds float64 `json:"intervalSeconds"`
}

// DroppedTotal is the sum over all reasons.
func (s Statement) DroppedTotal() uint64 { return Snapshot{Dropped: s.Dropped}.DroppedTotal() }
