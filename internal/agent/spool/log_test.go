/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package spool

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

func open(t *testing.T, filesystem Filesystem, options Options) *Log {
	t.Helper()
	log, err := Open(filesystem, options)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// spool appends records that must be taken, and gives their sequences.
func spool(t *testing.T, log *Log, ids ...uint64) []uint64 {
	t.Helper()
	batch := make([]Record, len(ids))
	for i, id := range ids {
		batch[i] = recordOf(id, 1000)
	}
	sequences := make([]uint64, len(ids))
	for i, outcome := range log.Append(batch) {
		if outcome.Err != nil {
			t.Fatal(outcome.Err)
		}
		sequences[i] = outcome.Sequence
	}
	return sequences
}

// next reads a record that must be there.
func next(t *testing.T, log *Log, id uint64) Spooled {
	t.Helper()
	read, ok, err := log.Next(Oldest)
	if err != nil || !ok {
		t.Fatalf("record %d doesn't come: %t, %v", id, ok, err)
	}
	if got, err := identify(read.Record); err != nil || got != id {
		t.Fatalf("record %d came instead of %d: %v", got, id, err)
	}
	return read
}

func nothing(t *testing.T, log *Log) {
	t.Helper()
	if read, ok, err := log.Next(Oldest); ok || err != nil {
		t.Fatalf("record %d comes, or %v", read.AgentSequence, err)
	}
}

func TestRecordsAreAppendedWhileEarlierOnesAreRecovered(t *testing.T) {
	filesystem := newMemoryFilesystem()
	spool(t, open(t, filesystem, Options{Limit: 1 << 20}), 1, 2, 3)

	filesystem = filesystem.afterKill()
	log := open(t, filesystem, Options{Limit: 1 << 20})
	for id := uint64(1); id <= 3; id++ {
		spool(t, log, 10+id)
		if read := next(t, log, id); !read.Recovered {
			t.Errorf("record %d is not called recovered", id)
		}
	}
	for id := uint64(11); id <= 13; id++ {
		if read := next(t, log, id); read.Recovered {
			t.Errorf("record %d is called recovered", id)
		}
	}
	nothing(t, log)
}

func TestTheMarkWaitsForTheOldestThatHasNotEnded(t *testing.T) {
	filesystem := newMemoryFilesystem()
	log := open(t, filesystem, Options{Limit: 1 << 20})
	sequences := spool(t, log, 1, 2, 3, 4)
	for _, i := range []int{3, 1, 0} {
		log.Acknowledge(sequences[i])
	}
	if err := log.Persist(); err != nil {
		t.Fatal(err)
	}
	if mark := log.Stats().Mark; mark != sequences[1] {
		t.Errorf("the mark is %d where %d has not ended", mark, sequences[2])
	}
	next(t, log, 3)
	nothing(t, log)

	log = open(t, filesystem.afterKill(), Options{Limit: 1 << 20})
	next(t, log, 3)
	next(t, log, 4)
	nothing(t, log)
}

func TestTheOldestMakesRoomAndIsCounted(t *testing.T) {
	var losses []Loss
	log := open(t, newMemoryFilesystem(), Options{
		Limit: MinLimit, SegmentBytes: blockBytes,
		OnLoss: func(loss Loss) { losses = append(losses, loss) },
	})
	const records = 200
	for id := uint64(1); id <= records; id++ {
		spool(t, log, id)
		if id == 5 {
			next(t, log, 1)
			next(t, log, 2)
		}
	}
	stats := log.Stats()
	told := map[LossReason]uint64{}
	for _, loss := range losses {
		told[loss.Reason] += loss.Records
	}
	if stats.Unprotected != 2 || told[LossUnprotected] != 2 {
		t.Errorf("2 records were handed out: %d and %d are called unprotected", stats.Unprotected, told[LossUnprotected])
	}
	left := uint64(0)
	for {
		_, ok, err := log.Next(Oldest)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		left++
	}
	dropped := stats.DroppedOldest.Fresh
	if dropped == 0 || dropped != told[LossOldest] || 2+dropped+left != records {
		t.Errorf("of %d records 2 were read, %d dropped, %d told of, and %d are left", records, dropped, told[LossOldest], left)
	}
}

func TestRecoveredRecordsThatMakeRoomAreCounted(t *testing.T) {
	options := Options{Limit: MinLimit, SegmentBytes: blockBytes}
	filesystem := newMemoryFilesystem()
	log := open(t, filesystem, options)
	spool(t, log, 1, 2, 3)
	log = open(t, filesystem.afterKill(), options)
	for id := uint64(10); log.Stats().DroppedOldest.Recovered == 0 && id < 300; id++ {
		spool(t, log, id)
	}
	if dropped := log.Stats().DroppedOldest; dropped != (Count{Recovered: 3}) {
		t.Errorf("3 recovered records made room: %+v", dropped)
	}
	next(t, log, 10)
}

func TestRefusedExchangesAreCounted(t *testing.T) {
	log := open(t, newMemoryFilesystem(), Options{Limit: MinLimit, SegmentBytes: blockBytes, DropNewest: true})
	outcomes := log.Append([]Record{recordOf(1, 10), recordOf(2, MinLimit), recordOf(3, 90<<10), recordOf(4, 60<<10), recordOf(5, 10)})
	for i, want := range []error{nil, ErrTooLarge, nil, ErrFull, nil} {
		if !errors.Is(outcomes[i].Err, want) {
			t.Errorf("record %d: %v, want %v", i+1, outcomes[i].Err, want)
		}
	}
	stats := log.Stats()
	if stats.Spooled != 3 || stats.RefusedTooLarge != 1 || stats.RefusedFull != 1 || stats.RefusedFailed != 0 {
		t.Errorf("%+v", stats)
	}
	for _, id := range []uint64{1, 3, 5} {
		next(t, log, id)
	}
}

func TestFailedWriteIsReturnedAndTheNextSucceeds(t *testing.T) {
	for _, synced := range []bool{false, true} {
		filesystem := newMemoryFilesystem()
		log := open(t, filesystem, Options{Limit: 1 << 20, Sync: synced})
		spool(t, log, 1)
		watermark := log.Stats().Watermark
		filesystem.fault = func(op operation) error {
			if op.kind == opSync || op.kind == opWrite && !synced {
				return syscall.EIO
			}
			return nil
		}
		for _, outcome := range log.Append([]Record{recordOf(2, 10), recordOf(3, 10)}) {
			if !errors.Is(outcome.Err, syscall.EIO) {
				t.Errorf("the outcome of a failed write is %v", outcome.Err)
			}
		}
		if stats := log.Stats(); stats.Watermark != watermark || stats.RefusedFailed != 2 || stats.Errors == 0 {
			t.Errorf("after a failed write: %+v", stats)
		}
		filesystem.fault = nil
		spool(t, log, 4)
		next(t, log, 1)
		next(t, log, 4)
		nothing(t, log)
		log = open(t, filesystem.afterKill(), Options{Limit: 1 << 20, Sync: synced})
		next(t, log, 1)
		next(t, log, 4)
		nothing(t, log)
	}
}

func TestFullDiskAcceptsWhatFits(t *testing.T) {
	filesystem := newMemoryFilesystem()
	filesystem.capacity = 100 << 10
	w := &world{filesystem: filesystem, witness: newWitness(), options: Options{Limit: 1 << 20}, open: openLog}
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := w.witness.append(w.subject, 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	stats := w.subject.Stats()
	if stats.Spooled < 60 || stats.RefusedFailed == 0 || stats.Spooled+stats.RefusedFailed != 400 {
		t.Errorf("%d records were taken and %d given back", stats.Spooled, stats.RefusedFailed)
	}
	w.filesystem = filesystem.afterKill()
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	if err := w.witness.audit(w.subject); err != nil {
		t.Error(err)
	}
}

func TestAMissingSegmentIsCounted(t *testing.T) {
	filesystem := newMemoryFilesystem()
	log := open(t, filesystem, Options{Limit: 1 << 20, SegmentBytes: blockBytes})
	for id := uint64(1); id <= 100; id++ {
		spool(t, log, id)
	}
	gone := log.segments[1]
	lost := gone.last - gone.first + 1
	filesystem = filesystem.afterKill()
	delete(filesystem.entries, gone.name())
	log = open(t, filesystem, Options{Limit: 1 << 20, SegmentBytes: blockBytes})
	read := uint64(0)
	for {
		if _, ok, _ := log.Next(Oldest); !ok {
			break
		}
		read++
	}
	if got := log.Stats().Lost.Recovered; got != lost || read+lost != 100 {
		t.Errorf("%d records were read and %d counted as lost, of 100 of which %d are gone", read, got, lost)
	}
}

func TestATornTailIsCutOff(t *testing.T) {
	filesystem := newMemoryFilesystem()
	log := open(t, filesystem, Options{Limit: 1 << 20})
	spool(t, log, 1, 2)
	node := filesystem.entries[log.segments[0].name()]
	whole := len(node.cache)
	spool(t, log, 3)
	filesystem = filesystem.afterKill()
	node = filesystem.entries[log.segments[0].name()]
	node.cache = node.cache[:len(node.cache)-1]
	log = open(t, filesystem, Options{Limit: 1 << 20})
	next(t, log, 1)
	next(t, log, 2)
	nothing(t, log)
	if stats := log.Stats(); stats.TornTails != 1 || len(node.cache) != whole || stats.Lost != (Count{}) {
		t.Errorf("the file has %d bytes, of which %d are whole: %+v", len(node.cache), whole, stats)
	}
}

func TestSpaceIsNotUsedAgainBeforeItsRemovalIsSynced(t *testing.T) {
	filesystem := newMemoryFilesystem()
	log := open(t, filesystem, Options{Limit: MinLimit + 5*pageBytes, SegmentBytes: blockBytes, Sync: true})
	// The mark's file takes its space too.
	for id := uint64(1); id <= 3; id++ {
		log.Acknowledge(spool(t, log, id)[0])
		if err := log.Persist(); err != nil {
			t.Fatal(err)
		}
	}
	filesystem.fault = func(op operation) error {
		if op.kind == opSyncDirectory && len(filesystem.journal) > 0 && filesystem.journal[0].inode == nil {
			return syscall.EIO
		}
		return nil
	}
	for id := uint64(4); id < 300; id++ {
		log.Append([]Record{recordOf(id, 1000)})
		after := filesystem.afterPowerLoss(keptNothing)
		after.limit = log.Stats().Limit
		if after.measure(); after.exceeded > 0 {
			t.Fatalf("after record %d and a loss of power the limit is exceeded by %d bytes", id, after.exceeded)
		}
	}
	if log.Stats().Errors == 0 {
		t.Error("no sync failed")
	}
}

func TestALowerLimitIsKeptFromTheStart(t *testing.T) {
	filesystem := newMemoryFilesystem()
	log := open(t, filesystem, Options{Limit: 1 << 20, SegmentBytes: blockBytes})
	for id := uint64(1); id <= 500; id++ {
		spool(t, log, id)
	}
	log = open(t, filesystem.afterKill(), Options{Limit: MinLimit, SegmentBytes: blockBytes})
	if stats := log.Stats(); stats.Bytes > stats.Limit || stats.DroppedOldest.Recovered == 0 {
		t.Errorf("%+v", stats)
	}
}

func TestSegmentsGoWhenTheirRecordsHaveEnded(t *testing.T) {
	filesystem := newMemoryFilesystem()
	log := open(t, filesystem, Options{Limit: 1 << 20, SegmentBytes: blockBytes})
	for id := uint64(1); id <= 400; id++ {
		spool(t, log, id)
		log.Acknowledge(next(t, log, id).Sequence)
		if err := log.Persist(); err != nil {
			t.Fatal(err)
		}
	}
	if stats := log.Stats(); stats.Segments != 1 || stats.DroppedOldest != (Count{}) {
		t.Errorf("after all was acknowledged: %+v", stats)
	}
}

func TestOneProcessHasADirectory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has the lock")
	}
	path := filepath.Join(t.TempDir(), "spool")
	directory, err := OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := OpenDirectory(path); err == nil {
		t.Error("the directory is open twice", second.Close())
	}
	if err := directory.Close(); err != nil {
		t.Fatal(err)
	}
	if directory, err = OpenDirectory(path); err != nil {
		t.Fatal(err)
	}
	if err := directory.Close(); err != nil {
		t.Fatal(err)
	}
}

// The same workload on a directory of the operating system, without a crash.
func TestADirectoryBehavesAsTheTestsFilesystem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spool")
	directory, err := OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer directory.Close()
	if err := os.WriteFile(filepath.Join(path, "lost+found"), make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(seed(t), 6))
	for _, synced := range []bool{false, true} {
		w := newWitness()
		options := Options{Limit: 400 << 10, SegmentBytes: 64 << 10, Sync: synced, OnLoss: w.onLoss}
		for range 5 {
			log := open(t, directory, options)
			w.begin()
			for range 30 {
				if err := w.append(log, size(random), size(random)); err != nil {
					t.Fatal(err)
				}
				if read, ok, err := w.read(log); err != nil {
					t.Fatal(err)
				} else if ok && random.IntN(3) > 0 {
					w.acknowledge(log, read)
				}
				w.persist(log)
			}
			if err := w.audit(log); err != nil {
				t.Fatal(err)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			w.note(log)
			if stats := log.Stats(); stats.Errors > 0 || stats.Bytes > stats.Limit {
				t.Errorf("%+v", stats)
			}
		}
		log := open(t, directory, Options{Limit: 1 << 20})
		for {
			read, ok, err := log.Next(Oldest)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			log.Acknowledge(read.Sequence)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheWindowIsASetOfSequences(t *testing.T) {
	random := rand.New(rand.NewPCG(seed(t), 7))
	for range 200 {
		var w window
		ended := map[uint64]bool{}
		for range 60 {
			first := 1 + random.Uint64N(100)
			last := first + random.Uint64N(8)
			w.end(first, last)
			for sequence := first; sequence <= last; sequence++ {
				ended[sequence] = true
			}
			low := uint64(0)
			for ended[low+1] {
				low++
			}
			if w.low != low {
				t.Fatalf("low is %d, want %d", w.low, low)
			}
			from, to := random.Uint64N(110), random.Uint64N(110)
			open := uint64(0)
			for sequence := max(from, 1); sequence <= to; sequence++ {
				if !ended[sequence] {
					open++
				}
			}
			if w.open(from, to) != open {
				t.Fatalf("%d of %d to %d are open, want %d", w.open(from, to), from, to, open)
			}
			for i := 1; i < len(w.spans); i++ {
				if w.spans[i].first <= w.spans[i-1].last+1 {
					t.Fatalf("spans %v", w.spans)
				}
			}
		}
	}
}

// unmarkable is a filesystem that has no room for the mark.
type unmarkable struct {
	*memoryFilesystem
	full bool
}

func (u *unmarkable) Create(name string) (File, error) {
	if u.full && name == markName {
		return nil, errors.New("no space left on device")
	}
	return u.memoryFilesystem.Create(name)
}

// TestAFullVolumeIsEmptied: what has ended makes room although the mark can't
// say that it has, and doesn't come back.
func TestAFullVolumeIsEmptied(t *testing.T) {
	filesystem := &unmarkable{memoryFilesystem: newMemoryFilesystem(), full: true}
	log := open(t, filesystem, Options{Limit: 1 << 20, SegmentBytes: blockBytes})
	for id := range uint64(20) {
		log.Append([]Record{recordOf(id, 20_000)})
	}
	full := log.Stats().Bytes
	for {
		record, ok, err := log.Next(Oldest)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		log.Acknowledge(record.Sequence)
	}
	if err := log.Persist(); err == nil {
		t.Error("that the mark isn't written is no error")
	}
	if left := log.Stats().Bytes; left > full/5 {
		t.Errorf("%d of %d bytes are left when all has ended", left, full)
	}
	again := open(t, filesystem.afterKill(), Options{Limit: 1 << 20})
	for {
		record, ok, err := again.Next(Oldest)
		if err != nil || !ok {
			break
		}
		if id, err := identify(record.Record); err != nil || id < 19 {
			t.Errorf("record %d comes back: %v", id, err)
		}
	}
}
