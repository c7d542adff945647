/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/spool"
)

// disk is a world that has a spool, and the records of that.
type disk struct {
	*world
	// records are those that were not read, in their order, and held those that
	// were read.
	records []diskRecord
	last    uint64
	held    map[uint64]bool
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

// withDisk returns a sink of 10 bytes an event, whose spool is open and may be
// read.
func withDisk(t *testing.T, changes ...func(*Options)) *disk {
	d := &disk{held: make(map[uint64]bool), budget: 1 << 40}
	d.world = newWorld(t, append(changes, func(o *Options) {
		o.Spool = &SpoolOptions{
			QueueBytes: diskQueue, WindowBytes: diskWindow, Log: spool.Options{MaxRecordBytes: diskMaxRecord},
			Reserve: func(bytes int64) (func(), bool) {
				if bytes > d.budget {
					return nil, false
				}
				d.budget -= bytes
				return func() { d.budget += bytes }, true
			},
		}
	})...)
	d.step(d.core, spoolOpened{})
	d.step(d.core, readsAllowed{})
	return d
}

// write tells the core what became of an item on its way.
func (d *disk) write(n int, outcome func(*Item) input) {
	item := d.leaving[n]
	d.leaving = slices.Delete(d.leaving, n, n+1)
	in := outcome(item)
	if _, written := in.(spooled); written {
		d.last++
		kept := *item
		kept.record.number = d.last
		kept.Deadline = item.Observed.Add(SpooledDeadline)
		kept.Release = nil
		d.records = append(d.records, diskRecord{item: kept})
	}
	d.step(d.core, in)
}

// giveBack ends the read that the core asked for.
func (d *disk) giveBack() {
	read := 0
	for ; read < d.read.Records && d.read.Bytes > 0 && len(d.records) > 0; read++ {
		d.read.Bytes -= int(d.giveBackOne(d.read.From).Bytes)
	}
	d.read = reading{}
	d.step(d.core, readEnded{records: read})
}

// giveBackOne gives back the record at an end, as if each had a file of its own.
func (d *disk) giveBackOne(from spool.End) Item {
	at := 0
	if newest := len(d.records) - 1; from == spool.Newest && !d.records[newest].recovered {
		at = newest
	}
	record := d.records[at]
	d.records = slices.Delete(d.records, at, at+1)
	item := record.item
	item.record.recovered = record.recovered
	item.Bytes = OverheadBytes + 10
	d.held[item.record.number] = true
	read := item
	d.step(d.core, readBack{item: &read})
	return item
}

// recover leaves a record of an earlier process.
func (d *disk) recover() {
	d.last++
	d.records = append(d.records, diskRecord{recovered: true, item: Item{
		Sequence: 1_000_000 + d.last, Observed: d.now.Add(-time.Minute), Deadline: d.now.Add(time.Hour), record: spoolRecord{number: d.last},
	}})
	d.core.spool.unread = true
}

func (d *disk) pass(wait time.Duration) { d.now = d.now.Add(wait) }

// spoolAll spools whatever is due.
func (d *disk) spoolAll() {
	for d.begin(); len(d.leaving) > 0; d.begin() {
		for len(d.leaving) > 0 {
			d.write(0, func(item *Item) input { return spooled{item: item} })
		}
	}
}

// TestSpooledEventsComeBackWithinTheWindow, and are acknowledged when they end.
func TestSpooledEventsComeBackWithinTheWindow(t *testing.T) {
	d := withDisk(t, func(o *Options) { o.FirstInFlight, o.MaxInFlight = 1, 1 })
	const events = 40
	for range events {
		d.observe()
	}
	d.begin()
	d.pass(overflowAge)
	d.spoolAll()
	if len(d.records) != events-1 || d.core.Waiting() != 0 {
		t.Fatalf("%d events are on the disk", len(d.records))
	}
	for len(d.begun[d.core]) > 0 {
		if d.read.Records > 0 {
			d.giveBack()
		}
		if window := d.core.budget.window; window > diskWindow {
			t.Fatalf("what was read back holds %d bytes", window)
		}
		if len(d.leaving) > 0 {
			t.Fatalf("%d events go to the disk again", len(d.leaving))
		}
		record := d.begun[d.core][0].record.number
		if d.acknowledged[record] {
			t.Fatalf("record %d is acknowledged before its event is delivered", record)
		}
		d.end(d.core, 0, Result{Status: 202})
		if record > 0 && !d.acknowledged[record] {
			t.Fatalf("the event of record %d is delivered and not acknowledged", record)
		}
		d.pass(time.Hour / 100)
		d.begin()
		for d.read.Records > 0 && len(d.begun[d.core]) == 0 {
			d.giveBack()
			d.begin()
		}
	}
	if s := d.account.Snapshot(); s.Delivered != events || s.Pending != 0 {
		t.Errorf("the ledger says %+v", s)
	}
	if !d.core.SpoolEmpty() {
		t.Error("the spool isn't empty")
	}
}

// TestADeadLetterOfASpooledEvent is acknowledged when it ends itself, and leaves
// the window to others.
func TestADeadLetterOfASpooledEvent(t *testing.T) {
	for _, test := range []struct {
		name   string
		budget int64
		status int
		want   ledger.Snapshot
	}{
		{"taken", 1 << 20, 202, ledger.Snapshot{Counts: ledger.Counts{DeadLettered: 1}}},
		{"refused", 1 << 20, 400, ledger.Snapshot{Counts: ledger.Counts{Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}}},
		{"no room", 0, 0, ledger.Snapshot{Counts: ledger.Counts{Dropped: map[ledger.Reason]uint64{ledger.ReasonRejected: 1}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := withDisk(t, withDeadLetters)
			d.budget = test.budget
			d.recover()
			d.begin()
			d.giveBack()
			d.begin()
			d.end(d.core, 0, Result{Status: 400})
			if d.core.budget.window != 0 {
				t.Errorf("a dead letter holds %d bytes of the window", d.core.budget.window)
			}
			if test.status != 0 {
				d.begin()
				if d.acknowledged[1] {
					t.Error("it is acknowledged before its dead letter has ended")
				}
				d.end(d.letters, 0, Result{Status: test.status})
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
			changes := []func(*Options){func(o *Options) { o.MaxBytes = []int64{0, 100, 1000}[random.IntN(3)] }}
			if seed%2 == 0 {
				changes = append(changes, withDeadLetters)
			}
			d := withDisk(t, changes...)
			if seed%2 == 0 {
				d.budget = int64(random.IntN(5)) * OverheadBytes
			}
			budget := d.budget
			var cores []*core
			for _, r := range d.sink.routes {
				cores = append(cores, r.core)
			}
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
				inMemory := make(map[uint64]bool)
				expose := func(item *Item) {
					inMemory[item.record.number] = true
					safe := item.record.recovered || item.record.number > 0 && !item.record.exposed
					if !safe && (lowest == 0 || item.Sequence < lowest) {
						lowest = item.Sequence
					}
				}
				for _, core := range cores {
					held += core.Waiting() + len(d.begun[core])
					for _, item := range slices.Concat(core.fresh.waiting(), core.retries.waiting(), d.begun[core]) {
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
				for record := range d.held {
					if d.acknowledged[record] == inMemory[record] {
						t.Fatalf("record %d: acknowledged %v, in memory %v", record, d.acknowledged[record], inMemory[record])
					}
				}
				if len(d.acknowledged) > len(d.held) {
					t.Fatal("a record is acknowledged that wasn't read")
				}
				if window := d.core.budget.window; window < 0 || window > diskWindow {
					t.Fatalf("what was read back holds %d bytes", window)
				}
			}
			outcomes := []func(*Item) input{
				func(item *Item) input { return spooled{item: item} },
				func(item *Item) input { return spooled{item: item} },
				func(item *Item) input { return spooled{item: item} },
				func(item *Item) input { return spooled{item: item} },
				func(item *Item) input { return notSpooled{item: item} },
				func(item *Item) input { return notSpooled{item: item, tooLarge: true} },
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
					if random.IntN(5) == 0 {
						d.recover()
					}
				case 6:
					if d.read.Records > 0 {
						d.giveBack()
					}
				case 7:
					if len(d.records) > 0 && random.IntN(5) == 0 {
						gone := d.records[0]
						d.records = d.records[1:]
						d.step(d.core, lost{events: 1, recovered: gone.recovered, reason: ledger.ReasonOverflow})
					} else if len(d.held) > 0 && random.IntN(10) == 0 {
						for record := range d.held {
							for _, core := range cores {
								d.step(core, exposed{first: record, last: record})
							}
							break
						}
					}
				default:
					d.begin()
				}
				if len(d.leaving) > 0 && random.IntN(2) == 0 {
					d.write(random.IntN(len(d.leaving)), outcomes[random.IntN(len(outcomes))])
				}
				for _, core := range cores {
					begun := len(d.begun[core])
					if begun == 0 || random.IntN(2) == 0 {
						continue
					}
					if n := random.IntN(begun); random.IntN(10) == 0 {
						d.abandon(core, n)
					} else {
						d.end(core, n, Result{Status: []int{202, 202, 503, 400, 0}[random.IntN(5)]})
					}
				}
				check()
			}
			before := len(d.acknowledged)
			d.abandonAll()
			s := d.account.Snapshot()
			if s.Pending != 0 || s.Observed+s.Recovered != s.Delivered+s.DroppedTotal()+s.DeadLettered {
				t.Errorf("at the end the ledger says %+v", s)
			}
			if len(d.acknowledged) != before {
				t.Error("what the agent's end cut off is acknowledged")
			}
			if d.core.budget != (budgetOf(d.core)) || d.sink.HeldBytes() != 0 || d.budget != budget {
				t.Errorf("something is held at the end: %+v", d.core.budget)
			}
			d.mustReleaseEachOnce()
		})
	}
}

// budgetOf is a core's budget that nothing is held of.
func budgetOf(c *core) budget { return budget{limit: c.config.MaxBytes} }
