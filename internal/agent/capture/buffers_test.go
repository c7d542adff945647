/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package capture

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

func TestBuffersHaveRoomAndLittleMore(t *testing.T) {
	var free buffers
	last := 0
	for i := range sizeCount {
		size := sizeAt(i)
		if size <= last || i >= steps && size != 2*sizeAt(i-steps) {
			t.Fatalf("size %d is %d, after %d", i, size, last)
		}
		for _, n := range []int{last + 1, size} {
			if indexFor(n) != i {
				t.Errorf("%d bytes take size %d, not %d", n, indexFor(n), i)
			}
		}
		last = size
	}
	for _, n := range []int{0, 1, 1023, 1024, 1025, 1280, 1281, 65535, 65536, 65537, 700 << 10, 4<<20 - 1, 4 << 20, 4<<20 + 1, 9 << 20} {
		for range 2 {
			taken := free.take(n)
			// The allocator rounds up, too.
			if got := cap(taken.bytes); got < n || got > max(n+n/4+n/8+1, sizeAt(0)) {
				t.Errorf("a buffer for %d bytes has %d", n, got)
			}
			free.giveBack(taken)
		}
	}
}

// TestNoTwoLeasesHaveTheSameBuffer: bodies that are captured at the same time
// don't overwrite each other, and a released one is overwritten by the next.
func TestNoTwoLeasesHaveTheSameBuffer(t *testing.T) {
	budget := NewBudget(64 << 20)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 7))
			for range 500 {
				lease := budget.Lease()
				recorder := NewRecorder(lease, Settings{MaxBytes: 1 << 20, Expected: -1})
				body := bytes.Repeat([]byte{byte(worker)}, 1+random.IntN(100<<10))
				for piece := range slices.Chunk(body, 1+random.IntN(32<<10)) {
					recorder.Write(piece)
				}
				if got := recorder.Body().Data; !bytes.Equal(got, body) {
					t.Errorf("a body of %d bytes is another one", len(body))
				}
				lease.Release()
			}
		})
	}
	group.Wait()
	if budget.Used() != 0 {
		t.Errorf("%d bytes are lost", budget.Used())
	}
}

func TestALeaseKeepsTheBufferOfItsEvent(t *testing.T) {
	budget := NewBudget(1 << 20)
	lease := budget.Lease()
	recorder := NewRecorder(lease, Settings{MaxBytes: 1 << 20, Expected: 5000})
	recorder.Write(bytes.Repeat([]byte("x"), 5000))
	data := recorder.Body().Data
	if held := lease.Keep(data[5:]); held != int64(cap(data)) {
		t.Errorf("a part of the body holds %d of %d bytes", held, cap(data))
	}
	// A part may have less capacity than its buffer has behind it.
	if held := lease.Keep(data[5:10:20]); held != int64(cap(data)) {
		t.Errorf("a short part of the body holds %d of %d bytes", held, cap(data))
	}
	if lease.buffer == nil {
		t.Error("the buffer is given back while a part of it is read")
	}
	decoded := make([]byte, 7000)
	if held := lease.Keep(decoded); held != 7000 {
		t.Errorf("a decoded body holds %d bytes", held)
	}
	if lease.buffer != nil {
		t.Error("nothing reads the buffer, and it is not given back")
	}
	if held := lease.Keep(nil); held != 0 {
		t.Errorf("no body holds %d bytes", held)
	}
}

// TestAbandonedBufferIsNotReused: after a panic somebody may still read it.
func TestAbandonedBufferIsNotReused(t *testing.T) {
	budget := NewBudget(1 << 20)
	lease := budget.Lease()
	data, _ := lease.extend(nil, 1000)
	data = append(data, "a body"...)
	lease.LeaveBuffer()
	lease.Release()
	if budget.Used() != 0 {
		t.Errorf("%d bytes are still held", budget.Used())
	}
	for range 10 {
		again, _ := budget.Lease().extend(nil, 1000)
		if overlap(data, again) {
			t.Fatal("a buffer is used again")
		}
	}
	if string(data) != "a body" {
		t.Errorf("the body became %q", data)
	}
}

func TestNoBufferIsUsedAgainAfterStopReuse(t *testing.T) {
	budget := NewBudget(1 << 20)
	first := budget.Lease()
	data, _ := first.extend(nil, 1000)
	budget.StopReuse()
	first.Release()
	for range 10 {
		again, _ := budget.Lease().extend(nil, 1000)
		if overlap(data, again) {
			t.Fatal("a buffer is used again")
		}
	}
}
