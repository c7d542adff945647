/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agentconfig"
)

// maxFailuresAmongSuccesses is how often an event may fail while others
// succeed before it counts as poison.
const maxFailuresAmongSuccesses = 3

// OverheadBytes is what an event takes of the budget beside its body: its
// attributes, and its place in the queues.
const OverheadBytes = 4 << 10

// Item is one event on its way to one sink.
type Item struct {
	Event    *event.Event
	Sequence uint64
	// Observed is when the event was; Deadline when it is given up.
	Observed, Deadline time.Time
	// Bytes is what the event holds of the budget.
	Bytes int64
	// Ahead has the first attempt made before all that waits.
	Ahead bool
	// Release gives back what the event holds, once for each sink.
	Release func()

	attempts int
	ticket   ticket
	// notBefore is when the schedule allows the next attempt.
	notBefore time.Time
	// failure is what came of the last attempt, and lostFor why the event became
	// a dead letter: only where there is a sink for those.
	failure Result
	lostFor ledger.Reason
	// successes is the sink's count when this item last failed.
	successes              uint64
	failuresAmongSuccesses int

	// record is the item's in the spool that it was read from, or 0, exposed
	// says that the disk no longer has it, and recovered that an earlier process
	// spooled it. unspoolable says that the spool takes no such item.
	record                          uint64
	exposed, recovered, unspoolable bool
	// acknowledge ends the record, and leaveWindow has the item hold a part of
	// the budget instead of the window of what was read back.
	acknowledge func()
	leaveWindow func() bool
}

// spoolable says whether an item may be spooled. What was read back is there.
func (i *Item) spoolable() bool { return i.record == 0 && !i.unspoolable }

// end lets go of an item, in memory and on the disk.
func (i *Item) end() {
	if i.acknowledge != nil {
		i.acknowledge()
	}
	i.Release()
}

// lose lets go of an item. What an agent doesn't deliver before it ends stays
// on the disk, for one that follows.
func (i *Item) lose(reason ledger.Reason) {
	if reason == ledger.ReasonShutdown {
		i.Release()
	} else {
		i.end()
	}
}

// Config bounds a sink's traffic.
type Config struct {
	// FirstInFlight and MaxInFlight bound the attempts at the same time.
	FirstInFlight, MaxInFlight int
	// HangsAfter is how long the youngest attempt goes without an answer before
	// one more may begin beside those that the gate allows: a sink that has come
	// back is found although attempts from before still hang. 0 is never.
	HangsAfter time.Duration
	// MaxBytes bounds what the sink's events hold; 0 is no bound.
	MaxBytes int64
	// Schedule says how often and when an event is tried again.
	Schedule agentconfig.Schedule
	// Random gives numbers in [0, 1).
	Random func() float64
}

// Core decides what goes to one sink and when. It does no I/O, has no clock of
// its own, and is not safe for concurrent use.
type Core struct {
	config Config
	gate   gate
	// live are events that were never tried, backlog those that failed. Both
	// are served in turns, so that neither an outage's backlog nor one event
	// that always fails holds up the rest.
	live, backlog queue
	// ahead are new events that go before all of those.
	ahead       queue
	fromBacklog bool
	oldestFirst bool
	successes   uint64
	// held is what the items hold, those in flight and on their way to the disk
	// too, and flyingBytes what those in flight do.
	held, flyingBytes int64
	// flying are the items in flight, where TrackAttempts asks for them.
	flying map[*Item]struct{}
	// overflow is nil where there is no spool.
	overflow *overflow
	account  *ledger.Account
	// taken books an event that the sink took, lost one that it never will.
	taken func()
	lost  func(*Item, ledger.Reason, time.Time)
	// keepsFailures says that what came of an attempt is still asked for.
	keepsFailures bool
	// patience is how long an event waits for a sink that takes none; 0 is as
	// long as it lives. lastFailure is what the sink said then.
	patience    time.Duration
	lastFailure Result
}

// NewCore gives the core of one sink, which ends events in account.
func NewCore(config Config, account *ledger.Account) *Core {
	return &Core{
		config:  config,
		gate:    newGate(config.FirstInFlight, config.MaxInFlight, config.HangsAfter),
		account: account,
		taken:   account.Deliver,
		lost: func(item *Item, reason ledger.Reason, _ time.Time) {
			account.Drop(reason)
			item.lose(reason)
		},
	}
}

// Add takes an item over, or gives it up where the sink holds all it may.
func (c *Core) Add(item *Item) {
	c.held += item.Bytes
	if c.config.MaxBytes > 0 && c.held > c.config.MaxBytes {
		c.giveUp(item, ledger.ReasonBudget, time.Time{})
		return
	}
	if item.Ahead {
		c.ahead.push(item)
		return
	}
	c.live.push(item)
}

// Waiting is the number of items that no attempt is under way for.
func (c *Core) Waiting() int { return c.ahead.len() + c.live.len() + c.backlog.len() }

func (c *Core) lanes() [3]*queue { return [...]*queue{&c.ahead, &c.live, &c.backlog} }

// InFlight is the number of attempts that are under way.
func (c *Core) InFlight() int { return c.gate.inFlight }

// TrackAttempts has the core know the items that attempts are under way for.
func (c *Core) TrackAttempts() { c.flying = make(map[*Item]struct{}) }

// OldestFirst makes the core send the oldest item next, whatever it is, and
// read what was spooled.
func (c *Core) OldestFirst() {
	c.oldestFirst = true
	c.ReadSpool()
}

// Oldest is when the oldest waiting item was observed, zero where none waits.
func (c *Core) Oldest() time.Time {
	oldest := c.backlog.oldest()
	if item := c.live.front(); item != nil {
		oldest = soonest(oldest, item.Observed)
	}
	return oldest
}

// Next gives the item to attempt now, or nil and when to ask again: zero where
// only a new item or the end of an attempt changes anything.
func (c *Core) Next(now time.Time) (*Item, time.Time) {
	c.expire(now)
	c.loseImpatient(&c.live, now)
	if c.Waiting() == 0 {
		return nil, time.Time{}
	}
	if !c.gate.allows(now) {
		return nil, soonest(soonest(c.gate.opens(), c.nextDeadline()), c.patienceEnds())
	}
	lane := c.lane(now)
	if lane == nil {
		return nil, soonest(c.backlog.front().notBefore, c.nextDeadline())
	}
	item := lane.pop()
	if item.attempts > 0 {
		c.account.Retry()
	}
	item.attempts++
	if c.gate.hangs() {
		c.overflow.failing(now)
	}
	item.ticket = c.gate.begin(now)
	c.flyingBytes += item.Bytes
	if c.flying != nil {
		c.flying[item] = struct{}{}
	}
	return item, time.Time{}
}

func (c *Core) land(item *Item) {
	c.flyingBytes -= item.Bytes
	delete(c.flying, item)
}

// lane gives the one that is served next, or nil where only events wait that
// their schedule holds back.
func (c *Core) lane(now time.Time) *queue {
	if c.ahead.len() > 0 {
		return &c.ahead
	}
	live, backlog := c.live.front(), c.backlog.front()
	if backlog != nil && backlog.notBefore.After(now) {
		backlog = nil
	}
	switch {
	case live == nil && backlog == nil:
		return nil
	case live == nil:
		return &c.backlog
	case backlog == nil:
		return &c.live
	case c.oldestFirst:
		if backlog.Observed.Before(live.Observed) {
			return &c.backlog
		}
		return &c.live
	}
	c.fromBacklog = !c.fromBacklog
	if c.fromBacklog {
		return &c.backlog
	}
	return &c.live
}

// Done takes the result of an item's attempt.
func (c *Core) Done(item *Item, result Result, now time.Time) {
	c.land(item)
	if c.keepsFailures {
		item.failure = result
	}
	switch Judge(result) {
	case Delivered:
		c.gate.succeeded(item.ticket)
		c.successes++
		c.held -= item.Bytes
		c.taken()
		item.end()
	case Rejected:
		// The sink is there and has answered: that opens its gate as well.
		c.gate.succeeded(item.ticket)
		c.giveUp(item, rejection(result), now)
	case Retry:
		c.overflow.failing(now)
		c.gate.failed(item.ticket, now, result.RetryAfter, c.config.Random())
		c.lastFailure = result
		c.again(item, now)
		c.loseImpatient(&c.backlog, now)
	}
}

func rejection(result Result) ledger.Reason {
	switch {
	case result.Unsendable:
		return ledger.ReasonInvalid
	case result.NoAddress:
		return ledger.ReasonNoSink
	case result.Refused != AddressNone:
		return ledger.ReasonAddress
	default:
		return ledger.ReasonRejected
	}
}

// Abandoned takes back an item whose attempt the agent itself cut off.
func (c *Core) Abandoned(item *Item) {
	c.land(item)
	c.gate.abandoned()
	c.backlog.insert(item)
}

func (c *Core) again(item *Item, now time.Time) {
	if item.attempts > 1 && c.successes > item.successes {
		item.failuresAmongSuccesses++
	} else {
		item.failuresAmongSuccesses = 1
	}
	item.successes = c.successes
	switch {
	case !now.Before(item.Deadline):
		c.giveUp(item, ledger.ReasonExpired, now)
	case c.config.Schedule.Exhausted(item.attempts):
		c.giveUp(item, ledger.ReasonRetries, now)
	case c.config.Schedule.Retries == nil && item.failuresAmongSuccesses >= maxFailuresAmongSuccesses:
		// A number of retries that was asked for says itself when it is enough.
		c.giveUp(item, ledger.ReasonPoison, now)
	default:
		if wait := c.config.Schedule.Wait(item.attempts); wait > 0 {
			item.notBefore = now.Add(wait)
		}
		c.backlog.insert(item)
	}
}

// DropAll gives up every item that no attempt is under way for.
func (c *Core) DropAll(reason ledger.Reason) {
	for _, lane := range c.lanes() {
		for lane.len() > 0 {
			c.giveUp(lane.pop(), reason, time.Time{})
		}
	}
	c.dropSpooled(reason)
}

func (c *Core) giveUp(item *Item, reason ledger.Reason, now time.Time) {
	c.held -= item.Bytes
	c.lost(item, reason, now)
}

func (c *Core) expire(now time.Time) {
	for _, lane := range c.lanes() {
		lane.removeExpired(now, func(item *Item) { c.giveUp(item, ledger.ReasonExpired, now) })
	}
}

// loseImpatient gives up events that have waited for long enough for a sink
// that takes none: its probes speak for them, and a dead letter sink may be
// there. They are looked for from the front of a lane, where the oldest are.
func (c *Core) loseImpatient(lane *queue, now time.Time) {
	for c.patience > 0 && c.gate.closed && lane.len() > 0 && !now.Before(c.givesUpAt(lane.front())) {
		item := lane.pop()
		if item.attempts == 0 {
			item.failure = c.lastFailure
		}
		c.giveUp(item, ledger.ReasonRetries, now)
	}
}

// patienceEnds is when the oldest new event is given up by loseImpatient.
func (c *Core) patienceEnds() time.Time {
	if c.patience == 0 || !c.gate.closed || c.live.len() == 0 {
		return time.Time{}
	}
	return c.givesUpAt(c.live.front())
}

// givesUpAt is when an item has waited for long enough, counted from when the
// sink last took one.
func (c *Core) givesUpAt(item *Item) time.Time {
	since := item.Observed
	if since.Before(c.gate.since) {
		since = c.gate.since
	}
	return since.Add(c.patience)
}

func (c *Core) nextDeadline() time.Time {
	return soonest(c.ahead.deadline, soonest(c.live.deadline, c.backlog.deadline))
}

// soonest gives the earlier of two times, of which zero means never.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
