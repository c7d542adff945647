/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agent/spool"
)

const (
	// SpooledDeadline is how long after it was observed an event is given up
	// that was spooled.
	SpooledDeadline = time.Hour
	// overflowAge is how long an event waits in memory alone.
	overflowAge = 2 * time.Second
	// overflowPause is how long a spool that failed is left alone.
	overflowPause = 5 * time.Second
	// maxRecordsRead bounds one read, so that what it gives is taken in at once.
	maxRecordsRead = 64
	// fewRecordsRead are read where fewer may be tried at once, so that what has
	// expired on the disk doesn't go record by record.
	fewRecordsRead = 16
	// arrivesWithin is what an event is promised that is observed after an
	// outage's end: it may have waited for most of that time already when the
	// sink is tried again.
	arrivesWithin = 30 * time.Second
	// readsInTurns is how many reads there are for one of the oldest end, while
	// the others are of the newest.
	readsInTurns = 4
	// segmentSpan is how far apart the events of a file may have been observed:
	// within it the oldest comes first. An hour of them is 720 files.
	segmentSpan = 5 * time.Second
)

// OverflowConfig bounds what a core gives to a spool and takes back.
type OverflowConfig struct {
	// QueueBytes bounds what the events on their way to the disk hold, one
	// excepted.
	QueueBytes int64
	// WindowBytes bounds what the events hold that were read back, one
	// excepted, and MaxRecordBytes what one has on the disk.
	WindowBytes, MaxRecordBytes int64
	// Acknowledge ends a record of the spool.
	Acknowledge func(record uint64)
	// Reserve takes bytes of the agent's budget, for a dead letter that must
	// not hold up what is read back, or says that there are none.
	Reserve func(bytes int64) (release func(), ok bool)
}

// overflow is what a core knows of its spool. What waits for longer than
// overflowAge, and the oldest of what holds more than half of what the sink
// may, goes to the disk, and comes back as others end: from both ends in turns
// while there is something that was observed after an outage's end, so that it
// doesn't wait for the outage's backlog, and otherwise in that order. An event
// is then in one of these places:
//
//	live, backlog -> leaving -> away -> backlog (its record is set) -> ended
type overflow struct {
	config OverflowConfig
	// open says that the spool takes events, and reads that it may be read.
	open, reads bool
	// notBefore and readNotBefore are when a spool that failed is used again.
	notBefore, readNotBefore time.Time

	// leaving are the events on their way to the disk.
	leaving      map[*Item]struct{}
	leavingBytes int64
	// away counts the events of this process that only the disk has. It is
	// negative while a loss is known before the outcome that it was spooled.
	away int64
	// stored says that a record may be there to be read, reading that one is
	// being read, and window what those hold that were.
	stored, reading bool
	window          int64
	// fresh says that the disk may have an event that was observed after since.
	// since is arrivesWithin before the sink was last seen to fail: what was
	// observed earlier is backlog. An attempt that fails may have begun before
	// the outage's end, so since isn't the failure itself.
	fresh bool
	since time.Time
	// readsNewest says that the newest end is being read, youngest is when the
	// youngest event was observed that this gave so far, and turn counts reads.
	readsNewest bool
	youngest    time.Time
	turn        int
}

// SpoolTo has what waits too long or holds too much go to a spool. It waits
// for OpenSpool.
func (c *Core) SpoolTo(config OverflowConfig) {
	c.overflow = &overflow{config: config, leaving: make(map[*Item]struct{})}
	c.TrackAttempts()
}

// OpenSpool says that the spool takes events from now on, and may have some.
func (c *Core) OpenSpool() { c.overflow.open, c.overflow.stored = true, true }

// CloseSpool says that it doesn't.
func (c *Core) CloseSpool() { c.overflow.open = false }

// ReadSpool says that what the spool has may be read from now on.
func (c *Core) ReadSpool() {
	if c.overflow != nil {
		c.overflow.reads = true
	}
}

// SpoolEmpty says whether all that was spooled has come back. A spool that
// isn't open counts as empty.
func (c *Core) SpoolEmpty() bool {
	o := c.overflow
	return o == nil || !o.open || !o.stored && !o.reading && len(o.leaving) == 0
}

// Overflow gives the items that are to be spooled now, oldest first, and when
// to ask again: zero where only a new item or the end of an attempt changes
// anything. Each is on its way until Spooled or NotSpooled says what became of
// it: nothing is attempted for it, and what it holds stays counted.
func (c *Core) Overflow(now time.Time) ([]*Item, time.Time) {
	o := c.overflow
	if o == nil || !o.open {
		return nil, time.Time{}
	}
	oldest := soonest(c.live.unspooled, c.backlog.unspooled)
	switch {
	case oldest.IsZero():
		return nil, time.Time{}
	case now.Before(o.notBefore):
		return nil, o.notBefore
	case o.leavingBytes >= o.config.QueueBytes:
		// An outcome comes first.
		return nil, time.Time{}
	}
	if excess := c.excess(); excess <= 0 && now.Before(oldest.Add(overflowAge)) {
		return nil, oldest.Add(overflowAge)
	}
	items := c.oldestUnspooled(now)
	for _, item := range items {
		o.leaving[item] = struct{}{}
		o.leavingBytes += item.Bytes
	}
	c.live.remove(o.leaving)
	c.backlog.remove(o.leaving)
	if oldest = soonest(c.live.unspooled, c.backlog.unspooled); oldest.IsZero() {
		return items, time.Time{}
	}
	return items, oldest.Add(overflowAge)
}

// excess is what waits in memory over half of what the sink may hold.
func (c *Core) excess() int64 {
	if c.config.MaxBytes == 0 {
		return 0
	}
	return c.held - c.flyingBytes - c.overflow.leavingBytes - c.config.MaxBytes/2
}

// oldestUnspooled chooses what goes to the disk, as much as there is room for
// on the way.
func (c *Core) oldestUnspooled(now time.Time) []*Item {
	excess := c.excess()
	room := c.overflow.config.QueueBytes - c.overflow.leavingBytes
	old := now.Add(-overflowAge)
	var failed []*Item
	for _, item := range c.backlog.waiting() {
		if item.spoolable() {
			failed = append(failed, item)
		}
	}
	slices.SortStableFunc(failed, byAge)
	fresh := c.live.waiting()
	var chosen []*Item
	for room > 0 {
		for len(fresh) > 0 && !fresh[0].spoolable() {
			fresh = fresh[1:]
		}
		from := &fresh
		switch {
		case len(fresh) == 0 && len(failed) == 0:
			return chosen
		case len(fresh) == 0, len(failed) > 0 && byAge(failed[0], fresh[0]) < 0:
			from = &failed
		}
		item := (*from)[0]
		if excess <= 0 && item.Observed.After(old) {
			return chosen
		}
		*from = (*from)[1:]
		chosen = append(chosen, item)
		room -= item.Bytes
		excess -= item.Bytes
	}
	return chosen
}

// latest gives the later of two times.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func byAge(a, b *Item) int {
	return cmp.Or(a.Observed.Compare(b.Observed), cmp.Compare(a.Sequence, b.Sequence))
}

// Spooled takes note that an item is on the disk, and lets go of it.
func (c *Core) Spooled(item *Item) {
	c.arrive(item)
	c.overflow.away++
	c.overflow.stored = true
	c.overflow.fresh = true
	c.held -= item.Bytes
	c.account.Spool()
	item.Release()
}

// NotSpooled takes an item back that the spool didn't take.
func (c *Core) NotSpooled(item *Item, err error, now time.Time) {
	c.arrive(item)
	if errors.Is(err, spool.ErrTooLarge) {
		item.unspoolable = true
	} else {
		c.overflow.notBefore = now.Add(overflowPause)
	}
	if item.attempts == 0 {
		c.live.restore(item)
	} else {
		c.backlog.insert(item)
	}
}

func (c *Core) arrive(item *Item) {
	delete(c.overflow.leaving, item)
	c.overflow.leavingBytes -= item.Bytes
}

// Reading is a read that is to be made: at most so many records from an end,
// and no further one once they have so many bytes.
type Reading struct {
	From           spool.End
	Records, Bytes int
}

// Read says what is to be read now. Nothing is zero, and when to ask again,
// which is zero where only the end of an item or ReadEnded changes anything.
// Until ReadEnded there is no other read.
func (c *Core) Read(now time.Time) (reading Reading, again time.Time) {
	o := c.overflow
	if o == nil || !o.open || !o.reads || !o.stored || o.reading {
		return Reading{}, time.Time{}
	}
	switch {
	case now.Before(o.readNotBefore):
		return Reading{}, o.readNotBefore
	case !c.oldestFirst && c.backlog.readBack(now, c.gate.room()):
		// More than may be tried at once would only stand before what is newer.
		return Reading{}, time.Time{}
	}
	room := o.config.WindowBytes - o.window
	// The last record of a read may be as large as any.
	spare := room - o.config.MaxRecordBytes
	switch {
	case spare < OverheadBytes && o.window > 0:
		return Reading{}, time.Time{}
	case spare < OverheadBytes:
		reading.Records, reading.Bytes = 1, 1
	default:
		reading.Records = int(min(max(spare/(2*OverheadBytes), 1), maxRecordsRead))
		reading.Bytes = int(max(spare-int64(reading.Records)*OverheadBytes, 1))
	}
	reading.Records = min(reading.Records, max(c.gate.room(), fewRecordsRead))
	reading.From = c.end()
	o.reading, o.readsNewest, o.youngest = true, reading.From == spool.Newest, time.Time{}
	return reading, time.Time{}
}

// end chooses where to read.
func (c *Core) end() spool.End {
	o := c.overflow
	if c.oldestFirst || c.gate.closed || !o.fresh {
		return spool.Oldest
	}
	o.turn = (o.turn + 1) % readsInTurns
	if o.turn == 0 {
		return spool.Oldest
	}
	return spool.Newest
}

// failing takes note that the sink fails, or gives no answer.
func (o *overflow) failing(now time.Time) {
	if o != nil {
		o.since = now.Add(-arrivesWithin)
	}
}

// ReadBack takes an item over that was read from the spool.
func (c *Core) ReadBack(item *Item) {
	o := c.overflow
	if item.recovered {
		c.account.Recover(1)
	} else {
		o.away--
	}
	o.youngest = latest(o.youngest, item.Observed)
	bytes := item.Bytes
	o.window += bytes
	// It has a part of the budget of its own.
	item.Bytes = 0
	item.Release = func() { o.window -= bytes }
	item.acknowledge = func() { o.config.Acknowledge(item.record) }
	item.leaveWindow = func() bool {
		release, ok := o.config.Reserve(bytes)
		if ok {
			item.Release()
			item.Bytes, item.Release = bytes, release
		}
		return ok
	}
	if c.oldestFirst {
		c.backlog.insertByAge(item)
	} else {
		c.backlog.insert(item)
	}
}

// Unreadable ends an event whose record makes no sense.
func (c *Core) Unreadable(record uint64, recovered bool) {
	c.endRecord(record, recovered, ledger.ReasonUnreadable)
}

// Unsound ends an event that a panic kept from coming back.
func (c *Core) Unsound(record uint64, recovered bool) {
	c.endRecord(record, recovered, ledger.ReasonInvalid)
}

func (c *Core) endRecord(record uint64, recovered bool, reason ledger.Reason) {
	c.LoseSpooled(1, recovered, reason)
	c.overflow.config.Acknowledge(record)
}

// Unspoolable gives up an item that a panic kept from the disk.
func (c *Core) Unspoolable(item *Item, now time.Time) {
	c.arrive(item)
	c.giveUp(item, ledger.ReasonInvalid, now)
}

// ReadEnded ends a read that gave so many records.
func (c *Core) ReadEnded(records int, failed bool, now time.Time) {
	o := c.overflow
	o.reading = false
	switch {
	case failed:
		o.readNotBefore = now.Add(overflowPause)
	case records == 0:
		o.stored = false
	}
	if o.readsNewest && !o.youngest.IsZero() && o.youngest.Add(segmentSpan).Before(o.since) {
		// What lies before that is older.
		o.fresh = false
	}
}

// LoseSpooled ends events that only the disk had.
func (c *Core) LoseSpooled(events uint64, recovered bool, reason ledger.Reason) {
	if recovered {
		c.account.Recover(events)
	} else {
		c.overflow.away -= int64(events)
	}
	c.account.DropAll(events, reason)
}

// Expose takes note that the disk no longer has the records of some items.
func (c *Core) Expose(first, last uint64) {
	c.eachItem(func(item *Item) {
		if first <= item.record && item.record <= last {
			item.exposed = true
		}
	})
}

// FirstExposed is the lowest sequence of an event of this process that a kill
// would lose, and 0 where there is none.
func (c *Core) FirstExposed() uint64 {
	lowest := uint64(0)
	c.eachItem(func(item *Item) {
		safe := item.recovered || item.record > 0 && !item.exposed
		if !safe && (lowest == 0 || item.Sequence < lowest) {
			lowest = item.Sequence
		}
	})
	return lowest
}

// eachItem goes over all items that are in memory. It needs TrackAttempts.
func (c *Core) eachItem(do func(*Item)) {
	for _, lane := range c.lanes() {
		for _, item := range lane.waiting() {
			do(item)
		}
	}
	for item := range c.flying {
		do(item)
	}
	if c.overflow != nil {
		for item := range c.overflow.leaving {
			do(item)
		}
	}
}

// dropSpooled gives up what is on its way to the disk or there. What is there
// stays there.
func (c *Core) dropSpooled(reason ledger.Reason) {
	if c.overflow == nil {
		return
	}
	for item := range c.overflow.leaving {
		c.arrive(item)
		c.giveUp(item, reason, time.Time{})
	}
	if away := c.overflow.away; away > 0 {
		c.overflow.away = 0
		c.account.DropAll(uint64(away), reason)
	}
}
