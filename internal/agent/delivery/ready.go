/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "github.com/sidenote-dev/sidenote/internal/agent/ledger"

// ready is what the core asks for. Its slices are valid until Advance.
type ready struct {
	// Outcomes are to be booked in the ledger, before anything else is done.
	Outcomes []outcome
	// Acknowledge are records of the spool whose events have ended.
	Acknowledge []uint64
	// Attempts are to be made. Each is in flight until attemptEnded or
	// attemptAbandoned.
	Attempts []*Item
	// Spool are items to be spooled, oldest first. Each is spilling until spooled,
	// notSpooled or unspoolable.
	Spool []*Item
	// Read is a read to be started, if it has records. There is no other one until
	// readEnded.
	Read reading
	// Wake is when a tick is due. It is never where only another input changes
	// anything.
	Wake alarm
}

func (r *ready) clear() {
	clear(r.Outcomes)
	clear(r.Attempts)
	clear(r.Spool)
	*r = ready{
		Outcomes: r.Outcomes[:0], Acknowledge: r.Acknowledge[:0], Attempts: r.Attempts[:0], Spool: r.Spool[:0],
	}
}

// outcomeKind is what became of an event.
type outcomeKind uint8

const (
	// outcomeDelivered: the sink has the event.
	outcomeDelivered outcomeKind = iota
	// outcomeDropped: the event is lost.
	outcomeDropped
	// outcomeUndelivered: the sink won't take the event, and a dead letter sink may.
	outcomeUndelivered
	// outcomeSpooled: the event is on the disk, and no longer in memory.
	outcomeSpooled
	// outcomeRecovered: an event of an earlier process has become known.
	outcomeRecovered
)

// outcome is what became of an item, or of events that only the disk has.
type outcome struct {
	Kind outcomeKind
	// Item is nil for events that only the disk has.
	Item   *Item
	Events uint64
	// Reason is why the events were dropped or not delivered.
	Reason ledger.Reason
}
