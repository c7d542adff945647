/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import "github.com/sidenote-dev/sidenote/internal/agent/ledger"

// input is something that the core is told. Step takes it.
type input interface{ isInput() }

// sealed makes a type an input. It has a size because the compiler would keep an
// input that is a mere pointer in the interface itself, and all inputs would escape.
type sealed struct{ _ bool }

func (sealed) isInput() {}

// Inputs about the sink's life.
type (
	// tick: time has passed.
	tick struct{ sealed }
	// started: attempts, spooling and reads may begin.
	started struct{ sealed }
	// stopped: no more of them may.
	stopped struct{ sealed }
	// draining: the agent is ending. The oldest event goes next, wherever it is.
	draining struct{ sealed }
	// closed: whatever is left is dropped because of shutdown.
	closed struct{ sealed }
)

// Inputs about events in memory.
type (
	// enqueued: a new event.
	enqueued struct {
		sealed
		item *Item
	}
	// attemptEnded: an attempt has a result.
	attemptEnded struct {
		sealed
		item   *Item
		result Result
	}
	// attemptAbandoned: the agent itself cut an attempt off.
	attemptAbandoned struct {
		sealed
		item *Item
	}
)

// Inputs about the spool.
type (
	// spoolOpened: the spool takes events from now on, and may have some.
	spoolOpened struct{ sealed }
	// spoolClosed: it takes none any more.
	spoolClosed struct{ sealed }
	// readsAllowed: events may be read back from now on.
	readsAllowed struct{ sealed }
	// spooled: an item is on the disk.
	spooled struct {
		sealed
		item *Item
	}
	// notSpooled: the spool didn't take an item. Where tooLarge, it never will.
	notSpooled struct {
		sealed
		item     *Item
		tooLarge bool
	}
	// unspoolable: a panic kept an item from the disk.
	unspoolable struct {
		sealed
		item *Item
	}
	// readBack: an item was read.
	readBack struct {
		sealed
		item *Item
	}
	// unreadable: a record was read that gives no event.
	unreadable struct {
		sealed
		record    uint64
		recovered bool
		reason    ledger.Reason
	}
	// readEnded: a read is over, and gave so many records.
	readEnded struct {
		sealed
		records int
		failed  bool
	}
	// lost: the disk no longer has events that only it had.
	lost struct {
		sealed
		events    uint64
		recovered bool
		reason    ledger.Reason
	}
	// exposed: the disk no longer has the records first to last, which were read.
	exposed struct {
		sealed
		first, last uint64
	}
)
