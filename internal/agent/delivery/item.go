/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"cmp"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
)

// OverheadBytes is what an event takes of the budget beside its body: its
// attributes, and its place in the queues.
const OverheadBytes = 4 << 10

// Item is one event on its way to one sink.
type Item struct {
	Event    *event.Event
	Sequence uint64
	// Observed is when the event was observed. At Deadline it is dropped.
	Observed, Deadline time.Time
	// Bytes is what the event holds of the budget.
	Bytes int64
	// Ahead makes this a priority item: it is sent before queued ones.
	Ahead bool
	// Release gives back what the event holds. It is called once for each sink.
	Release func()

	retry  retryState
	record spoolRecord
	// undelivered is why the event became a dead letter.
	undelivered ledger.Reason
}

// spoolRecord is an item's record in the spool. The zero value is that of an
// item that wasn't read from the spool.
type spoolRecord struct {
	number uint64
	// window is what the item holds of the window of items that were read back,
	// instead of Item.Bytes.
	window int64
	// exposed: the disk no longer has the record. recovered: an earlier process
	// spooled it. refused: the spool takes no such item.
	exposed, recovered, refused bool
}

// spoolable reports whether the item may be spooled.
func (i *Item) spoolable() bool { return i.record.number == 0 && !i.record.refused }

// exposed reports whether a kill would lose the event, which this process
// observed.
func (i *Item) exposed() bool {
	return !i.record.recovered && (i.record.number == 0 || i.record.exposed)
}

func (i *Item) release() {
	if i.Release != nil {
		i.Release()
	}
}

func byAge(a, b *Item) int {
	return cmp.Or(a.Observed.Compare(b.Observed), cmp.Compare(a.Sequence, b.Sequence))
}
