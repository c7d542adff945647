/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package capture

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// The sizes of the buffers that are used again: four from each power of two up to
// the next, from 1 KiB to 4 MiB, so that a buffer is at most a quarter larger than
// asked for. A larger body gets memory of its own.
const (
	smallestPower = 10
	largestPower  = 22
	steps         = 4
	sizeCount     = (largestPower-smallestPower)*steps + 1
)

// sizeAt is the size at an index below sizeCount.
func sizeAt(i int) int { return (steps + i%steps) << (smallestPower + i/steps) / steps }

// indexFor is the index of the smallest size with room for n bytes, and sizeCount
// if there is none.
func indexFor(n int) int {
	if n <= sizeAt(0) {
		return 0
	}
	power := bits.Len(uint(n-1)) - 1
	return min((power-smallestPower)*steps+(n-1)*steps>>power-steps+1, sizeCount)
}

// buffer is memory for one body, as long as it is captured or an event has it.
type buffer struct {
	bytes []byte
	// index is that of its size, or sizeCount.
	index int
}

// buffers has the buffers that are not in use. The garbage collector frees those
// that stay unused for two of its cycles, so they need no bound of their own. It
// is safe for concurrent use.
type buffers struct {
	pools [sizeCount]sync.Pool
	// stopped says that no buffer is used again.
	stopped atomic.Bool
}

// take returns a buffer with room for n bytes.
func (b *buffers) take(n int) *buffer {
	i := indexFor(n)
	if i < sizeCount {
		if free, ok := b.pools[i].Get().(*buffer); ok {
			return free
		}
		n = sizeAt(i)
	}
	// The allocator may round the size up.
	return &buffer{bytes: slices.Grow([]byte(nil), n), index: i}
}

// giveBack takes a buffer that is no longer read or written.
func (b *buffers) giveBack(used *buffer) {
	if b.stopped.Load() {
		return
	}
	spoil(used.bytes)
	if used.index < sizeCount {
		b.pools[used.index].Put(used)
	}
}
