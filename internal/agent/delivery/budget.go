/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

// budget counts what a core's items hold in memory.
type budget struct {
	// limit bounds held; 0 is no bound.
	limit int64
	// held is what all items hold. inFlight and spilling are the parts of it of
	// items in flight and of those on their way to the spool.
	held, inFlight, spilling int64
	// window is what items hold that were read back. It is no part of held.
	window int64
}

// add counts an item's bytes, and reports whether they are within the limit.
func (b *budget) add(item *Item) bool {
	b.held += item.Bytes
	return b.limit == 0 || b.held <= b.limit
}

// remove counts an item out.
func (b *budget) remove(item *Item) {
	b.held -= item.Bytes
	b.window -= item.record.window
}

// toWindow counts an item that was read back. It holds a part of the window
// instead of the budget.
func (b *budget) toWindow(item *Item) {
	item.Bytes, item.record.window = 0, item.Bytes
	b.window += item.record.window
}

// excess is what waits in memory over half of the limit.
func (b *budget) excess() int64 {
	if b.limit == 0 {
		return 0
	}
	return b.held - b.inFlight - b.spilling - b.limit/2
}
