/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"slices"
	"syscall"
	"testing"
)

// idsFrom reads at an end until nothing comes, and gives the ids.
func idsFrom(t *testing.T, log *Log, from End) []uint64 {
	t.Helper()
	var ids []uint64
	for {
		read, ok, err := log.Next(from)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return ids
		}
		ids = append(ids, read.AgentSequence)
	}
}

// TestBothEndsAreRead: the newest end gives the newest segment from its
// beginning, then those before it. Each record comes once, whatever the turns.
func TestBothEndsAreRead(t *testing.T) {
	// Deadlines are 7 apart (recordOf): three records in a segment.
	options := Options{Limit: 1 << 20, SegmentSpan: 21}
	filesystem := newMemoryFilesystem()
	spool(t, open(t, filesystem, options), 1, 2, 3, 4)

	filesystem = filesystem.afterKill()
	log := open(t, filesystem, options)
	spool(t, log, 11, 12, 13, 14, 15, 16, 17, 18)
	var got []uint64
	for _, from := range []End{Newest, Oldest, Newest, Newest, Newest, Oldest} {
		read, ok, err := log.Next(from)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		got = append(got, read.AgentSequence)
	}
	// What is appended is the newest.
	spool(t, log, 19, 20)
	got = append(got, idsFrom(t, log, Newest)...)
	if want := []uint64{17, 1, 18, 14, 15, 2, 20, 19, 16, 11, 12, 13, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("records come in the order %v, want %v", got, want)
	}
	nothing(t, log)
	if stats := log.Stats(); stats.Unread || stats.Lost != (Count{}) || stats.CorruptBlocks+stats.TornTails+stats.Errors > 0 {
		t.Errorf("all was read: %+v", stats)
	}
}

// TestTheOldestMakesRoomBehindTheNewestEnd: what the newest end has handed out
// of a segment that makes room is unprotected, the rest dropped.
func TestTheOldestMakesRoomBehindTheNewestEnd(t *testing.T) {
	losses := map[LossReason]uint64{}
	log := open(t, newMemoryFilesystem(), Options{
		Limit: MinLimit, SegmentBytes: blockBytes,
		OnLoss: func(loss Loss) { losses[loss.Reason] += loss.Records },
	})
	spool(t, log, 1, 2, 3, 4, 5)
	for range 2 {
		if _, ok, err := log.Next(Newest); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	const records = 200
	for id := uint64(6); id <= records; id++ {
		spool(t, log, id)
	}
	left := uint64(len(idsFrom(t, log, Newest)))
	if losses[LossUnprotected] != 2 || losses[LossOldest] == 0 || 2+losses[LossOldest]+left != records {
		t.Errorf("2 of %d records were handed out before, %d came later, and the losses are %v", records, left, losses)
	}
}

// TestOneRecordThatIsNotWholeTakesMemory: where a read fails in the midst of a
// record, the other end is read, and that record comes whole later.
func TestOneRecordThatIsNotWholeTakesMemory(t *testing.T) {
	filesystem := newMemoryFilesystem()
	log := open(t, filesystem, Options{Limit: 16 << 20, SegmentSpan: 7})
	for id := uint64(1); id <= 2; id++ {
		for _, outcome := range log.Append([]Record{recordOf(id, 3*blockBytes)}) {
			if outcome.Err != nil {
				t.Fatal(outcome.Err)
			}
		}
	}
	for _, from := range []End{Oldest, Newest} {
		filesystem.readFault = func(_ string, offset int64) error {
			if offset > 0 {
				return syscall.EIO
			}
			return nil
		}
		if _, ok, err := log.Next(from); ok || err == nil {
			t.Fatalf("a read gave %t, %v", ok, err)
		}
	}
	partly := 0
	for _, s := range log.segments {
		if s.assembly.active {
			partly++
		}
	}
	if partly != 1 {
		t.Errorf("%d records are in memory", partly)
	}
	filesystem.readFault = nil
	if got := idsFrom(t, log, Oldest); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("records %v come", got)
	}
}
