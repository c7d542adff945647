/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agent/spool"
)

var errDisk = errors.New("the disk fails")

// disk is what a core believes to be a spool.
type disk struct {
	*world
	leaving []*Item
	// records are those that were not read, in their order, and held what was
	// read and not acknowledged.
	records      []diskRecord
	last         uint64
	held         map[uint64]bool
	acknowledged map[uint64]bool
	// budget is what is left for dead letters.
	budget int64
}

type diskRecord struct {
	item      Item
	recovered bool
}

const (
	diskWindow    = 20 * OverheadBytes
	diskMaxRecord = 3 * OverheadBytes
	diskQueue     = 40
)

// withDisk gives a core of 10 bytes an event, whose spool is open and may be
// read.
func withDisk(t *testing.T, changes ...func(*Config)) *disk {
	d := &disk{held: make(map[uint64]bool), acknowledged: make(map[uint64]bool), budget: 1 << 40}
	d.world = newWorld(t, changes...)
	d.core.SpoolTo(OverflowConfig{
		QueueBytes: diskQueue, WindowBytes: diskWindow, MaxRecordBytes: diskMaxRecord,
		Acknowledge: func(record uint64) {
			if !d.held[record] {
				t.Errorf("record %d is acknowledged, and nobody has it", record)
			}
			delete(d.held, record)
			d.acknowledged[record] = true
		},
		Reserve: func(bytes int64) (func(), bool) {
			if bytes > d.budget {
				return nil, false
			}
			d.budget -= bytes
			return func() { d.budget += bytes }, true
		},
	})
	d.core.OpenSpool()
	d.core.ReadSpool()
	return d
}

// overflow takes what overflows, and gives how many.
func (d *disk) overflow() int {
	items, _ := d.core.Overflow(d.now)
	d.leaving = append(d.leaving, items...)
	return len(items)
}

// write tells the core what became of an item on its way.
func (d *disk) write(n int, err error) {
	item := d.leaving[n]
	d.leaving = slices.Delete(d.leaving, n, n+1)
	if err != nil {
		d.core.NotSpooled(item, err, d.now)
		return
	}
	d.last++
	kept := *item
	kept.record = d.last
	kept.Deadline = item.Observed.Add(SpooledDeadline)
	d.records = append(d.records, diskRecord{item: kept})
	d.core.Spooled(item)
}

// writeAll spools whatever is due.
func (d *disk) writeAll() {
	for d.overflow() > 0 {
		for len(d.leaving) > 0 {
			d.write(0, nil)
		}
	}
}

// read gives back what there is room for, and how many those are.
func (d *disk) read() int {
	reading, _ := d.core.Read(d.now)
	if reading.Records == 0 {
		return 0
	}
	read := 0
	for read < reading.Records && reading.Bytes > 0 && len(d.records) > 0 {
		reading.Bytes -= int(d.giveBack(reading.From).Bytes)
		read++
	}
	d.core.ReadEnded(read, false, d.now)
	return read
}

// giveBack gives back the record at an end, as if each had a file of its own.
func (d *disk) giveBack(from spool.End) *Item {
	at := 0
	if newest := len(d.records) - 1; from == spool.Newest && !d.records[newest].recovered {
		at = newest
	}
	record := d.records[at]
	d.records = slices.Delete(d.records, at, at+1)
	item := record.item
	item.recovered = record.recovered
	item.Bytes = OverheadBytes + 10
	d.held[item.record] = true
	d.core.ReadBack(&item)
	return &item
}

// recover leaves a record of an earlier process.
func (d *disk) recover() {
	d.last++
	d.records = append(d.records, diskRecord{recovered: true, item: Item{
		Sequence: 1_000_000 + d.last, Observed: d.now.Add(-time.Minute), Deadline: d.now.Add(time.Hour), record: d.last,
	}})
	d.core.overflow.stored = true
}

func (d *disk) pass(wait time.Duration) { d.now = d.now.Add(wait) }

func TestOnlyWhatWaitsIsSpooled(t *testing.T) {
	d := withDisk(t)
	for range 3 {
		d.observe()
	}
	flying := d.next()
	d.pass(overflowAge - 1)
	if n := d.overflow(); n != 0 {
		t.Errorf("%d events are spooled before their time", n)
	}
	d.pass(1)
	d.observe()
	if n := d.overflow(); n != 2 || d.leaving[0].Sequence != 2 || d.leaving[1].Sequence != 3 {
		t.Fatalf("%d events are spooled", n)
	}
	if first := d.core.FirstExposed(); first != 1 {
		t.Errorf("a kill loses nothing before event %d", first)
	}
	d.done(flying, 202)
	if item := d.next(); item.Sequence != 4 {
		t.Errorf("event %d is attempted on its way to the disk", item.Sequence)
	}
	d.write(0, nil)
	if first := d.core.FirstExposed(); first != 3 {
		t.Errorf("a kill loses nothing before event %d", first)
	}
	d.write(0, nil)
	if first := d.core.FirstExposed(); first != 4 {
		t.Errorf("a kill loses nothing before event %d", first)
	}
	if s := d.account.Snapshot(); s.Spooled != 2 || s.Pending != 3 || d.released[2] != 1 || d.released[3] != 1 {
		t.Errorf("the ledger says %+v", s)
	}
}

func TestTheOldestIsSpooledWhereHalfIsHeld(t *testing.T) {
	d := withDisk(t, func(c *Config) { c.MaxBytes = 100 })
	for range 5 {
		d.observe()
	}
	if n := d.overflow(); n != 0 {
		t.Errorf("%d events are spooled while no more than half is held", n)
	}
	for range 3 {
		d.observe()
	}
	if n := d.overflow(); n != 3 || d.leaving[0].Sequence != 1 {
		t.Errorf("%d events are spooled, 3 are over half", n)
	}
	// What is on its way still counts.
	d.observe()
	d.observe()
	d.observe()
	if s := d.account.Snapshot(); s.Dropped[ledger.ReasonBudget] != 1 {
		t.Errorf("the ledger says %+v", s)
	}
	for len(d.leaving) > 0 {
		d.write(0, nil)
	}
	d.observe()
	if s := d.account.Snapshot(); s.Dropped[ledger.ReasonBudget] != 1 {
		t.Errorf("the ledger says %+v", s)
	}
}

func TestWhatIsOnItsWayIsBounded(t *testing.T) {
	d := withDisk(t)
	for range 20 {
		d.observe()
	}
	d.pass(overflowAge)
	if n := d.overflow(); n != diskQueue/10 {
		t.Errorf("%d events are on their way", n)
	}
	if items, again := d.core.Overflow(d.now); len(items) > 0 || !again.IsZero() {
		t.Errorf("%d events more are on their way, and more after %s", len(items), again.Sub(d.now))
	}
	d.write(0, nil)
	if n := d.overflow(); n != 1 {
		t.Errorf("%d events follow one", n)
	}
}

// TestADiskThatFailsGivesBackAndIsLeftAlone: in the order that there was.
func TestADiskThatFailsGivesBackAndIsLeftAlone(t *testing.T) {
	for name, err := range map[string]error{"full": spool.ErrFull, "busy": spool.ErrBusy, "an error": errDisk} {
		t.Run(name, func(t *testing.T) {
			d := withDisk(t)
			for range 5 {
				d.observe()
			}
			d.pass(overflowAge)
			d.overflow()
			for len(d.leaving) > 0 {
				d.write(len(d.leaving)-1, err)
			}
			if n := d.overflow(); n != 0 {
				t.Errorf("%d events are tried at once", n)
			}
			if _, again := d.core.Overflow(d.now); again != d.now.Add(overflowPause) {
				t.Errorf("the disk is tried again after %s", again.Sub(d.now))
			}
			for want := uint64(1); want <= 4; want++ {
				if item := d.next(); item.Sequence != want {
					t.Errorf("event %d goes out, %d is next", item.Sequence, want)
				}
			}
			d.pass(overflowPause)
			if n := d.overflow(); n != 1 {
				t.Errorf("%d events are tried later", n)
			}
		})
	}
}

func TestWhatIsTooLargeStaysAndHoldsNothingUp(t *testing.T) {
	d := withDisk(t)
	d.observe()
	d.observe()
	d.pass(overflowAge)
	d.overflow()
	d.write(0, spool.ErrTooLarge)
	d.write(0, nil)
	if n := d.overflow(); n != 0 {
		t.Errorf("%d events are spooled again", n)
	}
	if _, again := d.core.Overflow(d.now); !again.IsZero() {
		t.Error("what is too large is looked at again and again")
	}
	if item := d.next(); item.Sequence != 1 {
		t.Errorf("event %d goes out", item.Sequence)
	}
}

// TestWhatComesBackIsBoundedAndEndsOnTheDisk when it ends.
func TestWhatComesBackIsBoundedAndEndsOnTheDisk(t *testing.T) {
	d := withDisk(t)
	const events = 40
	for range events {
		d.observe()
	}
	d.pass(overflowAge)
	d.writeAll()
	if len(d.records) != events || d.core.Waiting() != 0 {
		t.Fatalf("%d events are on the disk", len(d.records))
	}
	for len(d.acknowledged) < events {
		for d.read() > 0 {
		}
		if d.core.overflow.window > diskWindow {
			t.Fatalf("what was read back holds %d bytes", d.core.overflow.window)
		}
		d.pass(time.Hour / 100)
		if n := d.overflow(); n != 0 {
			t.Fatalf("%d events go to the disk again", n)
		}
		item := d.next()
		if d.acknowledged[item.record] {
			t.Fatalf("event %d is acknowledged before it is delivered", item.Sequence)
		}
		d.done(item, 202)
		if !d.acknowledged[item.record] {
			t.Fatalf("event %d is delivered and not acknowledged", item.Sequence)
		}
	}
	if s := d.account.Snapshot(); s.Delivered != events || s.Pending != 0 || !d.core.SpoolEmpty() && d.read() != 0 {
		t.Errorf("the ledger says %+v", s)
	}
	if !d.core.SpoolEmpty() {
		t.Error("the spool isn't empty")
	}
}

func TestALargeRecordComesBackAlone(t *testing.T) {
	d := withDisk(t)
	d.core.overflow.config.WindowBytes = 10
	d.observe()
	d.observe()
	d.pass(overflowAge)
	d.writeAll()
	if n := d.read(); n != 1 {
		t.Fatalf("%d events came back", n)
	}
	if n := d.read(); n != 0 {
		t.Errorf("%d events came back beside it", n)
	}
	d.done(d.next(), 202)
	if n := d.read(); n != 1 {
		t.Errorf("%d events came back after it", n)
	}
}

func TestASpooledEventLivesLonger(t *testing.T) {
	d := withDisk(t)
	d.observe()
	d.pass(overflowAge)
	d.writeAll()
	d.read()
	d.pass(SpooledDeadline - overflowAge - 1)
	d.done(d.next(), 503)
	d.pass(time.Minute)
	d.nothing()
	if s := d.account.Snapshot(); s.Dropped[ledger.ReasonExpired] != 1 || !d.acknowledged[1] {
		t.Errorf("the ledger says %+v", s)
	}
}

func TestASpoolThatCannotBeReadIsLeftAlone(t *testing.T) {
	d := withDisk(t)
	d.recover()
	if reading, _ := d.core.Read(d.now); reading.Records == 0 {
		t.Fatal("nothing is read")
	}
	if reading, _ := d.core.Read(d.now); reading.Records != 0 {
		t.Error("there are two reads at once")
	}
	d.core.ReadEnded(0, true, d.now)
	reading, again := d.core.Read(d.now)
	if reading.Records != 0 || again != d.now.Add(overflowPause) {
		t.Errorf("the next read is after %s", again.Sub(d.now))
	}
	d.pass(overflowPause)
	if d.read() != 1 {
		t.Error("it is not read later")
	}
}

func TestNothingIsReadBeforeItMayBe(t *testing.T) {
	d := withDisk(t)
	d.core.overflow.reads = false
	d.recover()
	if d.read() != 0 {
		t.Error("it is read before the model was ready")
	}
	d.core.OldestFirst()
	if d.read() != 1 {
		t.Error("it isn't read in the drain")
	}
}

// TestTheDiskIsReadFromBothEnds while something on it may have been observed
// after an outage's end, and in its order otherwise, and in the drain.
func TestTheDiskIsReadFromBothEnds(t *testing.T) {
	const oldest, newest = spool.Oldest, spool.Newest
	for _, test := range []struct {
		name string
		then func(*disk)
		want []spool.End
	}{
		{"in turns", func(*disk) {}, []spool.End{newest, newest, newest, oldest, newest, newest}},
		{"nothing was spooled since", func(d *disk) { d.core.overflow.fresh = false }, []spool.End{oldest, oldest, oldest, oldest}},
		{"in the drain", func(d *disk) { d.core.OldestFirst() }, []spool.End{oldest, oldest, oldest, oldest}},
		{"the sink fails", func(d *disk) {
			d.observe()
			d.done(d.next(), 503)
		}, []spool.End{oldest, oldest, oldest, oldest}},
		{"the sink is back", func(d *disk) {
			d.observe()
			failed := d.next()
			d.done(failed, 503)
			d.pass(time.Minute)
			d.done(d.next(), 202)
		}, []spool.End{newest, newest, newest, oldest, newest, newest}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := withDisk(t)
			d.observe()
			d.pass(overflowAge)
			d.writeAll()
			test.then(d)
			var got []spool.End
			for range test.want {
				reading, _ := d.core.Read(d.now)
				if reading.Records == 0 {
					t.Fatal("nothing is read")
				}
				got = append(got, reading.From)
				d.core.ReadEnded(1, false, d.now)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("the ends are %v, want %v", got, test.want)
			}
		})
	}
}

// TestTheNewestEndIsLeftWhereItIsOld: what was observed too long before the
// sink last failed comes in its order.
func TestTheNewestEndIsLeftWhereItIsOld(t *testing.T) {
	d := withDisk(t)
	for range 100 {
		d.observe()
	}
	d.pass(arrivesWithin + 2*segmentSpan)
	d.writeAll()
	d.observe()
	d.done(d.next(), 503)
	d.pass(2 * overflowAge)
	d.observe()
	d.pass(overflowAge)
	d.writeAll()
	fromNewest := 0
	for len(d.records) > maxRecordsRead/2 {
		newest := d.records[len(d.records)-1].item.Sequence
		d.read()
		for d.core.Waiting() > 0 {
			item := d.next()
			if item.Sequence == newest {
				fromNewest++
			}
			d.done(item, 202)
		}
	}
	// One that gives what is new, and one that gives nothing that is.
	if fromNewest != 2 {
		t.Errorf("%d reads were of the newest end", fromNewest)
	}
}

// TestNoMoreIsReadThanMayBeTried: what waits in memory would stand before what
// is newer, while the sink is away and when it is back. What its own schedule
// holds back doesn't count.
func TestNoMoreIsReadThanMayBeTried(t *testing.T) {
	delay := time.Minute
	d := withDisk(t, func(c *Config) { c.Schedule.Delay = &delay })
	d.core.overflow.config.WindowBytes *= 100
	for range 500 {
		d.observe()
	}
	d.pass(overflowAge)
	d.writeAll()
	for read := 0; ; {
		n := d.read()
		if read += n; n == 0 && read < fewRecordsRead || read > fewRecordsRead+4 {
			t.Fatalf("%d events came back where 4 may be tried", read)
		}
		if n == 0 {
			break
		}
	}
	var tried []*Item
	for range 4 {
		tried = append(tried, d.next())
	}
	for _, item := range tried {
		d.done(item, 503)
	}
	for d.core.backlog.readBack(d.now, 1) {
		d.core.backlog.pop()
	}
	if n := d.read(); n != fewRecordsRead {
		t.Errorf("%d events came back beside four that are held back", n)
	}
}

// TestDrainingReadsTheOldestFirst: what comes back goes before what came
// later, in whatever lane.
func TestDrainingReadsTheOldestFirst(t *testing.T) {
	d := withDisk(t)
	d.observe()
	d.observe()
	d.pass(overflowAge)
	d.writeAll()
	d.observe()
	failed := d.next()
	d.done(failed, 503)
	d.pass(time.Second)
	d.observe()
	d.core.OldestFirst()
	d.read()
	for want := uint64(1); want <= 4; want++ {
		item := d.next()
		if item.Sequence != want {
			t.Errorf("event %d goes out, %d is next", item.Sequence, want)
		}
		d.done(item, 202)
	}
}

func TestAnEventWhoseRecordMadeRoomIsExposed(t *testing.T) {
	d := withDisk(t)
	d.observe()
	d.observe()
	d.pass(overflowAge)
	d.writeAll()
	d.read()
	if first := d.core.FirstExposed(); first != 0 {
		t.Errorf("a kill loses event %d", first)
	}
	d.core.Expose(2, 2)
	if first := d.core.FirstExposed(); first != 2 {
		t.Errorf("a kill loses event %d", first)
	}
	if n := d.overflow(); n != 0 {
		t.Error("it is spooled again")
	}
}

// TestADeadLetterOfASpooledEvent ends on the disk when it ends itself, and
// leaves the window to others.
func TestADeadLetterOfASpooledEvent(t *testing.T) {
	for _, test := range []struct {
		name   string
		budget int64
		status int
		want   ledger.Snapshot
	}{
		{"taken", 1 << 20, 202, ledger.Snapshot{DeadLettered: 1}},
		{"refused", 1 << 20, 400, ledger.Snapshot{Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}},
		{"no room", 0, 0, ledger.Snapshot{Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := withDisk(t)
			d.budget = test.budget
			letters := NewDeadLetterCore(d.core.config, d.account)
			letters.TrackAttempts()
			d.core.SendDeadLettersTo(letters)
			d.observe()
			d.pass(overflowAge)
			d.writeAll()
			d.read()
			d.done(d.next(), 400)
			if d.core.overflow.window != 0 {
				t.Errorf("a dead letter holds %d bytes of the window", d.core.overflow.window)
			}
			if test.status != 0 {
				letter, _ := letters.Next(d.now)
				if d.acknowledged[1] {
					t.Error("it is acknowledged before its dead letter has ended")
				}
				letters.Done(letter, Result{Status: test.status}, d.now)
			}
			s := d.account.Snapshot()
			if !d.acknowledged[1] || s.Pending != 0 || s.DeadLettered != test.want.DeadLettered || s.DroppedTotal() != test.want.DroppedTotal() || d.budget != test.budget {
				t.Errorf("acknowledged %v, %d of the budget left, the ledger says %+v", d.acknowledged[1], d.budget, s)
			}
		})
	}
}

// TestTheLawHoldsWithASpool: at every instant observed + recovered = delivered
// + dropped + dead-lettered + pending, each event lets go of its memory once,
// a record is acknowledged exactly when its event ended, and what a kill would
// lose is known.
func TestTheLawHoldsWithASpool(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			d := withDisk(t, func(c *Config) { c.MaxBytes = []int64{0, 100, 1000}[random.IntN(3)] })
			var letters *Core
			if seed%2 == 0 {
				letters = NewDeadLetterCore(d.core.config, d.account)
				letters.TrackAttempts()
				d.core.SendDeadLettersTo(letters)
				d.budget = int64(random.IntN(5)) * OverheadBytes
			}
			budget := d.budget
			cores := []*Core{d.core}
			if letters != nil {
				cores = append(cores, letters)
			}
			flying := make([][]*Item, len(cores))
			check := func() {
				t.Helper()
				s := d.account.Snapshot()
				if s.Observed+s.Recovered != s.Delivered+s.DroppedTotal()+s.DeadLettered+s.Pending {
					t.Fatalf("the law is broken: %+v", s)
				}
				fresh := 0
				for _, record := range d.records {
					if !record.recovered {
						fresh++
					}
				}
				held := len(d.leaving) + fresh
				lowest := uint64(0)
				expose := func(item *Item) {
					safe := item.recovered || item.record > 0 && !item.exposed
					if !safe && (lowest == 0 || item.Sequence < lowest) {
						lowest = item.Sequence
					}
				}
				for i, core := range cores {
					held += core.Waiting() + len(flying[i])
					for _, item := range slices.Concat(core.live.waiting(), core.backlog.waiting(), flying[i]) {
						expose(item)
					}
				}
				for _, item := range d.leaving {
					expose(item)
				}
				if uint64(held) != s.Pending {
					t.Fatalf("%d held, the ledger says %+v", held, s)
				}
				first := uint64(0)
				for _, core := range cores {
					if one := core.FirstExposed(); one > 0 && (first == 0 || one < first) {
						first = one
					}
				}
				if first != lowest {
					t.Fatalf("a kill loses event %d, not %d", lowest, first)
				}
				if window := d.core.overflow.window; window < 0 || window > diskWindow {
					t.Fatalf("what was read back holds %d bytes", window)
				}
			}
			for range 500 {
				switch random.IntN(12) {
				case 0, 1, 2:
					d.observe()
				case 3:
					d.pass(time.Duration(random.IntN(3000)) * time.Millisecond)
				case 4:
					d.pass(time.Duration(random.IntN(5)) * time.Minute)
				case 5:
					d.overflow()
				case 6:
					if random.IntN(5) == 0 {
						d.recover()
					}
				case 7:
					d.read()
				case 8:
					if len(d.records) > 0 && random.IntN(5) == 0 {
						lost := d.records[0]
						d.records = d.records[1:]
						d.core.LoseSpooled(1, lost.recovered, ledger.ReasonOverflow)
					} else if len(d.held) > 0 && random.IntN(10) == 0 {
						for record := range d.held {
							d.core.Expose(record, record)
							break
						}
					}
				default:
					i := random.IntN(len(cores))
					if item, _ := cores[i].Next(d.now); item != nil {
						flying[i] = append(flying[i], item)
					}
				}
				if len(d.leaving) > 0 && random.IntN(2) == 0 {
					d.write(random.IntN(len(d.leaving)), []error{nil, nil, nil, nil, errDisk, spool.ErrTooLarge}[random.IntN(6)])
				}
				for i, core := range cores {
					if len(flying[i]) == 0 || random.IntN(2) == 0 {
						continue
					}
					n := random.IntN(len(flying[i]))
					item := flying[i][n]
					flying[i] = slices.Delete(flying[i], n, n+1)
					if random.IntN(10) == 0 {
						core.Abandoned(item)
					} else {
						core.Done(item, Result{Status: []int{202, 202, 503, 400, 0}[random.IntN(5)]}, d.now)
					}
				}
				check()
			}
			for i, core := range cores {
				for _, item := range flying[i] {
					core.Abandoned(item)
				}
				flying[i] = nil
			}
			before := len(d.acknowledged)
			for _, core := range cores {
				core.DropAll(ledger.ReasonShutdown)
			}
			s := d.account.Snapshot()
			if s.Pending != 0 || s.Observed+s.Recovered != s.Delivered+s.DroppedTotal()+s.DeadLettered {
				t.Errorf("at the end the ledger says %+v", s)
			}
			if len(d.acknowledged) != before {
				t.Error("what the agent's end cut off is acknowledged")
			}
			if d.core.overflow.window != 0 || d.core.held != 0 || d.budget != budget || d.core.flyingBytes != 0 || d.core.overflow.leavingBytes != 0 {
				t.Errorf("something is held at the end: %+v", d.core.overflow)
			}
			for sequence := uint64(1); sequence <= s.Observed; sequence++ {
				if d.released[sequence] != 1 {
					t.Errorf("event %d was released %d times", sequence, d.released[sequence])
				}
			}
		})
	}
}
