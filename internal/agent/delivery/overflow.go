/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"slices"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
)

const (
	// overflowAge is how long an event waits in memory alone.
	overflowAge = 2 * time.Second
	// maxRecordsRead bounds one read, so that what it gives is taken in at once.
	maxRecordsRead = 64
	// fewRecordsRead are read where fewer may be tried at once, so that what has
	// expired on the disk doesn't go record by record.
	fewRecordsRead = 16
)

// What waits for longer than overflowAge goes to the spool, and so does the
// oldest of what holds more than half of what the sink may. It comes back as
// others end: from both ends in turns while there is something that was observed
// after an outage's end, so that it doesn't wait for the outage's backlog, and
// otherwise in that order. An event is then in one of these places:
//
//	fresh, retries -> spilling -> spooled -> retries (its record is set) -> ended

// stepSpool takes the inputs about the spool.
func (c *core) stepSpool(in input) {
	switch in := in.(type) {
	case spoolOpened:
		c.spool.open, c.spool.unread = true, true
	case spoolClosed:
		c.spool.open = false
	case readsAllowed:
		c.spool.readable = true
	case spooled:
		c.endSpill(in.item)
		c.spool.wrote()
		c.end(in.item, outcome{Kind: outcomeSpooled, Item: in.item})
	case notSpooled:
		c.takeBack(in.item, in.tooLarge)
	case unspoolable:
		c.endSpill(in.item)
		c.drop(in.item, ledger.ReasonInvalid)
	case readBack:
		c.readBack(in.item)
	case unreadable:
		c.lose(1, in.recovered, in.reason)
		c.out.Acknowledge = append(c.out.Acknowledge, in.record)
	case readEnded:
		c.spool.readEnded(in.records, in.failed, c.now)
	case lost:
		c.lose(in.events, in.recovered, in.reason)
	case exposed:
		c.eachItem(func(item *Item) {
			if in.first <= item.record.number && item.record.number <= in.last {
				item.record.exposed = true
			}
		})
	}
}

// SpoolEmpty reports whether all that was spooled has come back. A spool that
// isn't open counts as empty.
func (c *core) SpoolEmpty() bool { return c.spool.empty() }

// spill chooses the items that are to be spooled now, and gives when to choose
// again.
func (c *core) spill() alarm {
	oldest := c.fresh.unspooled.earliest(c.retries.unspooled)
	switch {
	case !c.spool.open, !oldest.set:
		return never
	case c.now.Before(c.spool.notBefore):
		return alarmAt(c.spool.notBefore)
	case c.budget.spilling >= c.spool.bounds.QueueBytes:
		// An outcome comes first.
		return never
	case c.budget.excess() <= 0 && !oldest.after(overflowAge).due(c.now):
		return oldest.after(overflowAge)
	}
	c.out.Spool = c.oldestUnspooled(c.out.Spool)
	for _, item := range c.out.Spool {
		c.spool.spilling[item] = struct{}{}
		c.budget.spilling += item.Bytes
	}
	c.fresh.remove(c.spool.spilling)
	c.retries.remove(c.spool.spilling)
	return c.fresh.unspooled.earliest(c.retries.unspooled).after(overflowAge)
}

// oldestUnspooled appends what goes to the spool, as much as there is room for on
// the way.
func (c *core) oldestUnspooled(chosen []*Item) []*Item {
	excess := c.budget.excess()
	room := c.spool.bounds.QueueBytes - c.budget.spilling
	old := c.now.Add(-overflowAge)
	var retries []*Item
	for _, item := range c.retries.waiting() {
		if item.spoolable() {
			retries = append(retries, item)
		}
	}
	slices.SortStableFunc(retries, byAge)
	fresh := c.fresh.waiting()
	for room > 0 {
		for len(fresh) > 0 && !fresh[0].spoolable() {
			fresh = fresh[1:]
		}
		from := &fresh
		switch {
		case len(fresh) == 0 && len(retries) == 0:
			return chosen
		case len(fresh) == 0, len(retries) > 0 && byAge(retries[0], fresh[0]) < 0:
			from = &retries
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

func (c *core) endSpill(item *Item) {
	delete(c.spool.spilling, item)
	c.budget.spilling -= item.Bytes
}

// takeBack puts an item that the spool didn't take back to its place.
func (c *core) takeBack(item *Item, tooLarge bool) {
	c.endSpill(item)
	if tooLarge {
		item.record.refused = true
	} else {
		c.spool.notBefore = c.now.Add(overflowPause)
	}
	if item.retry.attempts == 0 {
		c.fresh.restore(item)
	} else {
		c.retries.insert(item)
	}
}

// read chooses what is to be read now, and gives when to choose again.
func (c *core) read() alarm {
	switch {
	case !c.spool.mayRead():
		return never
	case c.now.Before(c.spool.readNotBefore):
		return alarmAt(c.spool.readNotBefore)
	case !c.oldestFirst && c.retries.readBack(c.now, c.breaker.room()):
		// More than may be tried at once would only stand before what is newer.
		return never
	}
	newest := !c.oldestFirst && !c.breaker.open
	c.out.Read = c.spool.startRead(c.budget.window, max(c.breaker.room(), fewRecordsRead), newest)
	return never
}

// readBack takes an item over that was read from the spool.
func (c *core) readBack(item *Item) {
	c.countBack(1, item.record.recovered)
	c.spool.youngest = c.spool.youngest.latest(item.Observed)
	c.budget.toWindow(item)
	if c.oldestFirst {
		c.retries.insertByAge(item)
	} else {
		c.retries.insert(item)
	}
}

// lose drops events that only the disk had.
func (c *core) lose(events uint64, recovered bool, reason ledger.Reason) {
	c.countBack(events, recovered)
	c.dropSpooled(events, reason)
}

// countBack counts events that were only on the disk so far.
func (c *core) countBack(events uint64, recovered bool) {
	if recovered {
		c.out.Outcomes = append(c.out.Outcomes, outcome{Kind: outcomeRecovered, Events: events})
	} else {
		c.spool.spooled -= int64(events)
	}
}

func (c *core) dropSpooled(events uint64, reason ledger.Reason) {
	c.out.Outcomes = append(c.out.Outcomes, outcome{Kind: outcomeDropped, Events: events, Reason: reason})
}
