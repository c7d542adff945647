/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"math/rand/v2"
	"slices"
	"testing"
)

var fuzzedSegment = identity{number: 1, first: 1, life: 1}

// segmentOf returns the bytes of a segment.
func segmentOf(t interface{ Fatal(...any) }, sizes ...int) []byte {
	filesystem := newMemoryFilesystem()
	log, err := Open(filesystem, Options{Limit: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	batch := make([]Record, len(sizes))
	for i, size := range sizes {
		batch[i] = recordOf(uint64(i+1), size)
	}
	log.Append(batch)
	return slices.Clone(filesystem.entries[fuzzedSegment.name()].cache)
}

// holding is a filesystem with the given files.
func holding(files map[string][]byte) *memoryFilesystem {
	filesystem := newMemoryFilesystem()
	for name, content := range files {
		node := &inode{cache: slices.Clone(content), dirty: map[int]bool{}, linked: true}
		filesystem.entries[name] = node
		filesystem.inodes = append(filesystem.inodes, node)
	}
	return filesystem
}

// readAll reads what is left, and fails on what was never spooled.
func readAll(t *testing.T, log *Log, most int) (records int) {
	t.Helper()
	last := uint64(0)
	for {
		read, ok, err := log.Next(Oldest)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return records
		}
		if _, err := identify(read.Record); err != nil {
			t.Fatal(err)
		}
		if read.Sequence <= last {
			t.Fatalf("sequence %d after %d", read.Sequence, last)
		}
		last = read.Sequence
		if records++; records > most {
			t.Fatalf("%d records from a file that has room for %d", records, most)
		}
	}
}

// FuzzSegment reads a segment of any bytes, appends after it, and begins again.
func FuzzSegment(f *testing.F) {
	f.Add([]byte{})
	f.Add(fuzzedSegment.appendHeader(nil))
	for _, sizes := range [][]int{{0}, {10, 20, 30}, {40 << 10, 5}, {32720 - 36, 32, 100 << 10}} {
		whole := segmentOf(f, sizes...)
		f.Add(whole)
		f.Add(whole[:len(whole)/2])
		f.Add(append(slices.Clone(whole), make([]byte, 100)...))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 4<<20 {
			t.Skip()
		}
		filesystem := holding(map[string][]byte{fuzzedSegment.name(): content})
		log, err := Open(filesystem, Options{Limit: 16 << 20, MaxRecordBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		most := len(content) / minRecordBytes
		outcomes := log.Append([]Record{recordOf(1_000_000, 10)})
		if outcomes[0].Err != nil {
			t.Fatal(outcomes[0].Err)
		}
		if records := readAll(t, log, most+1); records == 0 {
			t.Fatal("the record that was appended didn't come back")
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Open(filesystem, Options{Limit: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, again, most+1)
	})
}

// FuzzDamage flips one stretch of a sound segment, which no random bytes come
// close to.
func FuzzDamage(f *testing.F) {
	sound := segmentOf(f, 10, 3000, 40<<10, 0, 100, 70<<10, 5)
	f.Add(uint32(0), []byte{1})
	f.Add(uint32(40), []byte{0xff, 0xff})
	f.Add(uint32(blockBytes), []byte{0, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		content := slices.Clone(sound)
		for i, flipped := range change {
			content[(int(at)+i)%len(content)] ^= flipped
		}
		log, err := Open(holding(map[string][]byte{fuzzedSegment.name(): content}), Options{Limit: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if records := readAll(t, log, 7); records < 7 && log.Stats().CorruptBlocks+log.Stats().TornTails == 0 {
			t.Fatalf("%d records, and no damage is counted", records)
		}
	})
}

// FuzzMark begins with a mark of any bytes. No record may be taken for ended
// that comes after it, and what is appended comes back.
func FuzzMark(f *testing.F) {
	f.Add([]byte{})
	f.Add(markSlot{count: 1, mark: 5}.encode())
	f.Add(markSlot{count: maxNumber, mark: maxNumber}.encode())
	f.Add(append(make([]byte, markSlotStride), markSlot{count: 1, mark: 5}.encode()...))
	both := make([]byte, markFileBytes)
	copy(both, markSlot{count: 3, mark: 5}.encode())
	copy(both[markSlotStride:], markSlot{count: 4, mark: 2}.encode())
	f.Add(both)
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, synced := range []bool{false, true} {
			filesystem := holding(map[string][]byte{markName: content})
			log, err := Open(filesystem, Options{Limit: MinLimit, Sync: synced})
			if err != nil {
				t.Fatal(err)
			}
			outcome := log.Append([]Record{recordOf(1, rand.IntN(100))})[0]
			if outcome.Err != nil {
				t.Fatal(outcome.Err)
			}
			if readAll(t, log, 1) != 1 {
				t.Fatal("the record that was appended didn't come back")
			}
			log.Acknowledge(outcome.Sequence)
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := Open(filesystem.afterKill(), Options{Limit: MinLimit, Sync: synced})
			if err != nil {
				t.Fatal(err)
			}
			if readAll(t, again, 1) != 0 {
				t.Fatal("the record came back after its end was kept")
			}
		}
	})
}
