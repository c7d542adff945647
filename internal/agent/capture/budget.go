/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

// Package capture keeps copies of bodies as they flow, each under a cap and
// all under one byte budget. It never blocks and never fails a flow: what
// can't be kept is only counted and hashed.
package capture

import (
	"sync/atomic"
	"unsafe"
)

// spareShare bounds spare leases: together they hold at most the budget divided by
// it.
const spareShare = 4

// Budget bounds the bytes that an agent holds, by the capacity of what is
// held. It is safe for concurrent use.
type Budget struct {
	limit          int64
	used, captured atomic.Int64
	// spare is the part of used that spare leases hold.
	spare atomic.Int64
	free  buffers
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// StopReuse ends the reuse of buffers. At the agent's end an event may be dropped
// while a spool's disk still reads its data.
func (b *Budget) StopReuse() { b.free.stopped.Store(true) }

// Used is what is reserved now, in bytes.
func (b *Budget) Used() int64 { return b.used.Load() }

// Usage is what is held of a Budget, in bytes.
type Usage struct {
	BufferUsed  int64 `json:"bufferUsed"`
	BufferLimit int64 `json:"bufferLimit"`
	// Captured is the part of BufferUsed that leases hold which weren't handed over: that
	// of bodies which flow, and of events before they are built.
	Captured int64 `json:"-"`
}

// Usage is what is held now.
func (b *Budget) Usage() Usage {
	return Usage{BufferUsed: b.Used(), BufferLimit: b.limit, Captured: max(b.captured.Load(), 0)}
}

func (b *Budget) reserve(n int64, spare bool) bool {
	if spare && !addWithin(&b.spare, n, b.limit/spareShare) {
		return false
	}
	if addWithin(&b.used, n, b.limit) {
		return true
	}
	if spare {
		b.spare.Add(-n)
	}
	return false
}

// unreserve gives n bytes back.
func (b *Budget) unreserve(n int64, spare bool) {
	b.used.Add(-n)
	if spare {
		b.spare.Add(-n)
	}
}

// addWithin adds n where that stays within a limit.
func addWithin(sum *atomic.Int64, n, limit int64) bool {
	for {
		before := sum.Load()
		if n > limit-before {
			return false
		}
		if sum.CompareAndSwap(before, before+n) {
			return true
		}
	}
}

// Lease is a part of a budget, held for one event until it is released. It owns
// the buffer of the event's body: after Release nobody may read the body any
// more, because another body gets the buffer. A Lease is safe for concurrent use,
// but for its buffer, which belongs to one goroutine at a time.
type Lease struct {
	budget     *Budget
	held       atomic.Int64
	handedOver atomic.Bool
	buffer     *buffer
	// spare says that it is a spare lease. It belongs to one goroutine at a time,
	// too.
	spare bool
}

// Lease returns an empty lease.
func (b *Budget) Lease() *Lease { return &Lease{budget: b} }

// SpareLease returns an empty lease for what is probably not needed. All spare
// leases hold at most a quarter of the budget, so that they leave room for others.
func (b *Budget) SpareLease() *Lease { return &Lease{budget: b, spare: true} }

// Claim makes a lease an ordinary one: what it holds is needed. It must be called
// before the lease goes to another goroutine.
func (l *Lease) Claim() {
	if l.spare {
		l.spare = false
		l.budget.spare.Add(-l.Held())
	}
}

// released marks a lease that can hold nothing any more.
const released = -1

// Grow reserves n bytes more, and reports whether there was room.
func (l *Lease) Grow(n int64) bool {
	if !l.budget.reserve(n, l.spare) {
		return false
	}
	for {
		held := l.held.Load()
		if held == released {
			l.budget.unreserve(n, l.spare)
			return false
		}
		if l.held.CompareAndSwap(held, held+n) {
			l.capture(n)
			return true
		}
	}
}

// Shrink gives back n bytes of those that are held.
func (l *Lease) Shrink(n int64) {
	for {
		held := l.held.Load()
		n = min(n, held)
		if held == released || n <= 0 {
			return
		}
		if l.held.CompareAndSwap(held, held-n) {
			l.budget.unreserve(n, l.spare)
			l.capture(-n)
			return
		}
	}
}

// Resize has the lease hold n bytes, and reports whether there was room. Where
// there was none it holds what it did.
func (l *Lease) Resize(n int64) bool {
	if more := n - l.Held(); more > 0 {
		return l.Grow(more)
	}
	l.Shrink(l.Held() - n)
	return true
}

// Held is what the lease holds, in bytes.
func (l *Lease) Held() int64 { return max(l.held.Load(), 0) }

// Release gives everything back. Only its first call does something.
func (l *Lease) Release() {
	held := l.held.Swap(released)
	if held == released {
		return
	}
	l.budget.unreserve(held, l.spare)
	l.capture(-held)
	l.giveBack()
}

// extend makes room for size bytes in the lease's buffer, and returns data in it.
// Where the budget has no room it changes nothing. The old and the new buffer are
// there at the same time for a moment, and the budget counts both.
func (l *Lease) extend(data []byte, size int) ([]byte, bool) {
	if !l.Grow(int64(size)) {
		return data, false
	}
	larger := l.budget.free.take(size)
	if more := int64(cap(larger.bytes) - size); !l.Grow(more) {
		l.Shrink(int64(size))
		l.budget.free.giveBack(larger)
		return data, false
	}
	data = append(larger.bytes[:0], data...)
	l.discard()
	l.buffer = larger
	return data, true
}

// discard gives back the buffer, and what the lease holds for it.
func (l *Lease) discard() {
	if l.buffer != nil {
		l.Shrink(int64(cap(l.buffer.bytes)))
		l.giveBack()
	}
}

func (l *Lease) giveBack() {
	if l.buffer != nil {
		l.budget.free.giveBack(l.buffer)
		l.buffer = nil
	}
}

// Keep says which bytes are read from now on, and returns how many the lease needs
// to hold for them. It gives the buffer back where they are no part of it.
func (l *Lease) Keep(data []byte) int64 {
	if l.buffer == nil || !overlap(l.buffer.bytes, data) {
		l.giveBack()
		return int64(cap(data))
	}
	return int64(cap(l.buffer.bytes))
}

// LeaveBuffer leaves the buffer to the garbage collector. It is for a body that
// somebody may still read after Release: nobody knows who does after a panic.
func (l *Lease) LeaveBuffer() { l.buffer = nil }

// overlap reports whether two slices share memory, to the end of their capacity.
func overlap(a, b []byte) bool {
	if cap(a) == 0 || cap(b) == 0 {
		return false
	}
	// The same comparison as crypto/internal/fips140/alias makes. The slices
	// are alive, and the collector moves nothing on the heap.
	firstOf := func(s []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }
	lastOf := func(s []byte) uintptr { return firstOf(s) + uintptr(cap(s)-1) }
	return firstOf(a) <= lastOf(b) && firstOf(b) <= lastOf(a)
}

// HandOver says that what is held is now an event's on its way. Nothing else
// may be done with the lease at the same time.
func (l *Lease) HandOver() {
	l.capture(-l.Held())
	l.handedOver.Store(true)
}

func (l *Lease) capture(n int64) {
	if !l.handedOver.Load() {
		l.budget.captured.Add(n)
	}
}
