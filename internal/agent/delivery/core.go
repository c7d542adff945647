/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"maps"
	"slices"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
)

// Config bounds a sink's traffic.
type Config struct {
	// FirstInFlight and MaxInFlight bound the attempts at the same time.
	FirstInFlight, MaxInFlight int
	// HangsAfter is how long the youngest attempt goes without a response before
	// one more may begin beyond the circuit breaker's bound: a sink that has
	// recovered is found although earlier attempts still hang. 0 is never.
	HangsAfter time.Duration
	// MaxBytes bounds what the sink's events hold; 0 is no bound.
	MaxBytes int64
	// Schedule says how often and when an event is tried again.
	Schedule agentconfig.Schedule
	// Random returns numbers in [0, 1).
	Random func() float64
}

// core is a state machine that decides what goes to one sink and when. Step
// tells it what happened, and Ready gives what is to be done about it. It does no
// I/O, has no clock of its own, and is not safe for concurrent use.
type core struct {
	config  Config
	now     time.Time
	running bool
	breaker breaker
	budget  budget
	spool   spoolState

	// fresh are events that were never tried, retries those that failed. Both are
	// served in turns, so that neither an outage's backlog nor one event that
	// always fails holds up the rest. priority items go before all of those.
	priority, fresh, retries queue
	inFlight                 map[*Item]struct{}
	retriesNext              bool
	oldestFirst              bool
	successes                uint64

	// deadLetters reports whether there is a dead letter sink. dropsOverdue has
	// dropOverdue end events after maxWait, so that they go there in time.
	deadLetters, dropsOverdue bool
	maxWait                   time.Duration
	lastFailure               Result

	// out collects the next Ready, given is the last one.
	out, given ready
}

// newCore returns the core of one sink. deadLetters says that there is a dead
// letter sink for the events that this one doesn't take.
func newCore(config Config, bounds spoolBounds, deadLetters bool) *core {
	c := &core{
		config:      config,
		breaker:     newBreaker(config.FirstInFlight, config.MaxInFlight, config.HangsAfter),
		budget:      budget{limit: config.MaxBytes},
		spool:       newSpoolState(bounds),
		inFlight:    make(map[*Item]struct{}),
		deadLetters: deadLetters,
	}
	if deadLetters && config.Schedule.Retries != nil {
		c.dropsOverdue, c.maxWait = true, config.Schedule.MaxWait()
	}
	return c
}

// Step tells the core what happened at a time.
func (c *core) Step(now time.Time, in input) {
	c.now = now
	switch in := in.(type) {
	case tick:
	case started:
		c.running = true
	case stopped:
		c.running = false
	case draining:
		c.oldestFirst, c.spool.readable = true, true
	case closed:
		c.close()
	case enqueued:
		c.enqueue(in.item)
	case attemptEnded:
		c.endAttempt(in.item, in.result)
	case attemptAbandoned:
		c.land(in.item)
		c.breaker.abandoned()
		c.retries.insert(in.item)
	default:
		c.stepSpool(in)
	}
}

// Ready decides what is to be done now. It is called after Step, and Advance
// when all of it is in flight.
func (c *core) Ready() *ready {
	if c.running {
		c.dropExpired()
		c.dropOverdue(&c.fresh)
		c.beginAttempts()
		c.out.Wake = c.nextAttempt().earliest(c.spill()).earliest(c.read())
	}
	c.out, c.given = c.given, c.out
	return &c.given
}

// Advance says that the last Ready has been acted on.
func (c *core) Advance() { c.given.clear() }

// Waiting is the number of items that wait in memory.
func (c *core) Waiting() int { return c.priority.len() + c.fresh.len() + c.retries.len() }

func (c *core) queues() [3]*queue { return [...]*queue{&c.priority, &c.fresh, &c.retries} }

// Oldest is when the oldest item was observed that is queued.
func (c *core) Oldest() alarm {
	oldest := c.retries.oldest()
	if item := c.fresh.front(); item != nil {
		oldest = oldest.earliest(alarmAt(item.Observed))
	}
	return oldest
}

// enqueue takes an item over, or drops it where the sink holds all it may.
func (c *core) enqueue(item *Item) {
	switch {
	case !c.budget.add(item):
		c.drop(item, ledger.ReasonBudget)
	case item.Ahead:
		c.priority.push(item)
	default:
		c.fresh.push(item)
	}
}

func (c *core) beginAttempts() {
	for c.Waiting() > 0 && c.breaker.allows(c.now) {
		from := c.nextQueue()
		if from == nil {
			return
		}
		item := from.pop()
		item.retry.attempts++
		if c.breaker.full() {
			c.spool.sinkFails(c.now)
		}
		item.retry.ticket = c.breaker.begin(c.now)
		c.budget.inFlight += item.Bytes
		c.inFlight[item] = struct{}{}
		c.out.Attempts = append(c.out.Attempts, item)
	}
}

// nextQueue returns the queue that is served next, or nil where only items wait
// that their schedule holds back.
func (c *core) nextQueue() *queue {
	if c.priority.len() > 0 {
		return &c.priority
	}
	fresh, retry := c.fresh.front(), c.retries.front()
	if retry != nil && retry.retry.notBefore.After(c.now) {
		retry = nil
	}
	switch {
	case fresh == nil && retry == nil:
		return nil
	case fresh == nil:
		return &c.retries
	case retry == nil:
		return &c.fresh
	case c.oldestFirst:
		if retry.Observed.Before(fresh.Observed) {
			return &c.retries
		}
		return &c.fresh
	}
	c.retriesNext = !c.retriesNext
	if c.retriesNext {
		return &c.retries
	}
	return &c.fresh
}

// nextAttempt is when an attempt may begin, or an item is dropped, without any
// other input.
func (c *core) nextAttempt() alarm {
	if c.Waiting() == 0 {
		return never
	}
	deadline := c.priority.deadline.earliest(c.fresh.deadline).earliest(c.retries.deadline)
	if c.breaker.allows(c.now) {
		return deadline.earliest(alarmAt(c.retries.front().retry.notBefore))
	}
	if c.fresh.len() > 0 && c.dropsOverdue && c.breaker.open {
		deadline = deadline.earliest(alarmAt(c.overdueAt(c.fresh.front())))
	}
	return deadline.earliest(c.breaker.nextAttempt())
}

func (c *core) land(item *Item) {
	c.budget.inFlight -= item.Bytes
	delete(c.inFlight, item)
}

func (c *core) endAttempt(item *Item, result Result) {
	c.land(item)
	if c.deadLetters {
		item.retry.failure = result
	}
	switch Judge(result) {
	case Delivered:
		c.breaker.succeeded(item.retry.ticket)
		c.successes++
		c.end(item, outcome{Kind: outcomeDelivered, Item: item})
	case Rejected:
		// The sink has responded: that closes the circuit as well.
		c.breaker.succeeded(item.retry.ticket)
		c.drop(item, rejection(result))
	case Retry:
		c.spool.sinkFails(c.now)
		c.breaker.failed(item.retry.ticket, c.now, result.RetryAfter, c.config.Random())
		c.lastFailure = result
		c.tryAgain(item)
		c.dropOverdue(&c.retries)
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

func (c *core) tryAgain(item *Item) {
	item.retry.failed(c.successes)
	reason, again := item.retry.schedule(c.config.Schedule, c.now, item.Deadline)
	if !again {
		c.drop(item, reason)
		return
	}
	c.retries.insert(item)
}

// drop ends an item that the sink never takes. With a dead letter sink, the item
// may go there.
func (c *core) drop(item *Item, reason ledger.Reason) {
	kind := outcomeDropped
	if c.deadLetters && isDeadLetter(reason) {
		kind = outcomeUndelivered
	}
	c.end(item, outcome{Kind: kind, Item: item, Reason: reason})
}

// end lets an item go. Its record is not acknowledged while a dead letter has it,
// nor at shutdown: a later process delivers the event.
func (c *core) end(item *Item, o outcome) {
	c.budget.remove(item)
	c.out.Outcomes = append(c.out.Outcomes, o)
	if item.record.number > 0 && o.Kind != outcomeUndelivered && o.Reason != ledger.ReasonShutdown {
		c.out.Acknowledge = append(c.out.Acknowledge, item.record.number)
	}
}

func (c *core) dropExpired() {
	for _, q := range c.queues() {
		for _, item := range q.removeExpired(c.now) {
			c.drop(item, ledger.ReasonExpired)
		}
	}
}

// dropOverdue drops or dead-letters events that have waited for maxWait while the
// circuit is open. It looks for them from the front of a queue, where the oldest
// are.
func (c *core) dropOverdue(q *queue) {
	for c.dropsOverdue && c.breaker.open && q.len() > 0 && !c.now.Before(c.overdueAt(q.front())) {
		item := q.pop()
		if item.retry.attempts == 0 {
			item.retry.failure = c.lastFailure
		}
		c.drop(item, ledger.ReasonRetries)
	}
}

// overdueAt is when an item has waited for maxWait since the circuit was opened.
func (c *core) overdueAt(item *Item) time.Time {
	return latest(item.Observed, c.breaker.since).Add(c.maxWait)
}

// close drops whatever no attempt is in flight for. What is on the disk stays
// there.
func (c *core) close() {
	for _, q := range c.queues() {
		for q.len() > 0 {
			c.drop(q.pop(), ledger.ReasonShutdown)
		}
	}
	for _, item := range slices.SortedFunc(maps.Keys(c.spool.spilling), byAge) {
		c.endSpill(item)
		c.drop(item, ledger.ReasonShutdown)
	}
	if count := c.spool.spooled; count > 0 {
		c.spool.spooled = 0
		c.dropSpooled(uint64(count), ledger.ReasonShutdown)
	}
}

// FirstExposed is the lowest sequence of an event of this process that a kill
// would lose, and 0 if there is none.
func (c *core) FirstExposed() uint64 {
	lowest := uint64(0)
	c.eachItem(func(item *Item) {
		if item.exposed() && (lowest == 0 || item.Sequence < lowest) {
			lowest = item.Sequence
		}
	})
	return lowest
}

// eachItem goes over all items that are in memory.
func (c *core) eachItem(do func(*Item)) {
	for _, q := range c.queues() {
		for _, item := range q.waiting() {
			do(item)
		}
	}
	for item := range c.inFlight {
		do(item)
	}
	for item := range c.spool.spilling {
		do(item)
	}
}

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
