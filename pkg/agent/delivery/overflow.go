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
// may, goes to the disk, and comes back in that order as others end. An event
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

func byAge(a, b *Item) int {
	return cmp.Or(a.Observed.Compare(b.Observed), cmp.Compare(a.Sequence, b.Sequence))
}

// Spooled takes note that an item is on the disk, and lets go of it.
func (c *Core) Spooled(item *Item) {
	c.arrive(item)
	c.overflow.away++
	c.overflow.stored = true
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

// Read says how much is to be read now: at most so many records, and no
// further one once they have so many bytes. Nothing is zero, and when to ask
// again, which is zero where only the end of an item or ReadEnded changes
// anything. Until ReadEnded there is no other read.
func (c *Core) Read(now time.Time) (records, bytes int, again time.Time) {
	o := c.overflow
	if o == nil || !o.open || !o.reads || !o.stored || o.reading {
		return 0, 0, time.Time{}
	}
	if now.Before(o.readNotBefore) {
		return 0, 0, o.readNotBefore
	}
	room := o.config.WindowBytes - o.window
	// The last record of a read may be as large as any.
	spare := room - o.config.MaxRecordBytes
	switch {
	case spare < OverheadBytes && o.window > 0:
		return 0, 0, time.Time{}
	case spare < OverheadBytes:
		records, bytes = 1, 1
	default:
		records = int(min(max(spare/(2*OverheadBytes), 1), maxRecordsRead))
		bytes = int(max(spare-int64(records)*OverheadBytes, 1))
	}
	o.reading = true
	return records, bytes, time.Time{}
}

// ReadBack takes an item over that was read from the spool.
func (c *Core) ReadBack(item *Item) {
	o := c.overflow
	if item.recovered {
		c.account.Recover(1)
	} else {
		o.away--
	}
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
	c.LoseSpooled(1, recovered, ledger.ReasonUnreadable)
	c.overflow.config.Acknowledge(record)
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
