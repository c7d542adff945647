/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/panics"
)

// Sender makes one attempt to hand an event to a sink. It returns when ctx is
// done.
type Sender interface {
	Send(ctx context.Context, e *event.Event, sequence uint64) Result
}

// BeginAttempt is called for an attempt to send an event, the nth from 1. It gives
// the context to send it with, and what is told of its result.
type BeginAttempt func(ctx context.Context, e *event.Event, n int) (context.Context, func(Result))

// Sink runs the core of one sink, and that of its dead letter sink: it makes
// the attempts that they ask for and tells them what came of each. It is safe
// for concurrent use.
//
// Each change of a core starts the attempts that the core asks for. Each is
// made by a worker, a goroutine that goes on with the next attempt after it until
// there is none: one of the sink's own, or one that called Accept. Run itself
// only keeps the time.
type Sink struct {
	name    string
	account *ledger.Account
	// wake has Run look for when to look again.
	wake    chan struct{}
	workers sync.WaitGroup

	mu sync.Mutex
	// running is nil before Run and at its end.
	running context.Context
	closed  bool
	// wanted is when a core wants a tick, and alarm is when Run gives it.
	wanted, alarm alarm
	// routes are where events go: the sink, and where there is one the dead
	// letter sink.
	routes []*route
	// spooling is nil where there is no spool.
	spooling *spooling
	panics   panics.Handler
}

// route is one way that events go out.
type route struct {
	core           *core
	sender         Sender
	attemptTimeout time.Duration
	beginAttempt   BeginAttempt
	// failedAt names the sink that didn't take the events of a dead letter sink.
	// It is nil where this is no dead letter sink.
	failedAt func() string
}

// event returns what goes out of an item.
func (r *route) event(item *Item) (*event.Event, error) {
	if r.failedAt == nil {
		return item.Event, nil
	}
	failure := item.retry.failure
	return item.Event.DeadLetter(event.Failure{Destination: r.failedAt(), Status: failure.Status, Body: failure.Body})
}

// Options are what a Sink can be told beside its core's Config.
type Options struct {
	Config
	// AttemptTimeout bounds one attempt.
	AttemptTimeout time.Duration
	// BeginAttempt is called for each attempt.
	BeginAttempt BeginAttempt
	// Panics says what becomes of panics.
	Panics panics.Handler
	// DeadLetters is nil where there is no dead letter sink.
	DeadLetters *DeadLetterOptions
	// Spool is nil if there is none.
	Spool *SpoolOptions
}

// DeadLetterOptions say what becomes of events that the sink doesn't take.
type DeadLetterOptions struct {
	Sender Sender
	// Destination names the sink that didn't take them, in their attribute
	// knativeerrordest: where it is now.
	Destination func() string
	// BeginAttempt is called for each attempt.
	BeginAttempt BeginAttempt
}

// NewSink returns a sink. Nothing goes out before Run.
func NewSink(name string, sender Sender, options Options) *Sink {
	s := &Sink{name: name, account: new(ledger.Account), panics: options.Panics, wake: make(chan struct{}, 1)}
	var bounds spoolBounds
	if options.Spool != nil {
		s.spooling = newSpooling(s, *options.Spool)
		bounds = s.spooling.bounds()
	}
	letters := options.DeadLetters
	s.routes = []*route{{
		core:           newCore(options.Config, bounds, letters != nil),
		sender:         sender,
		attemptTimeout: options.AttemptTimeout,
		beginAttempt:   options.BeginAttempt,
	}}
	if letters != nil {
		s.routes = append(s.routes, &route{
			core:           newCore(deadLetterConfig(options.Config), spoolBounds{}, false),
			sender:         letters.Sender,
			attemptTimeout: options.AttemptTimeout,
			beginAttempt:   letters.BeginAttempt,
			failedAt:       letters.Destination,
		})
	}
	return s
}

// Name is the sink's name.
func (s *Sink) Name() string { return s.name }

// Account is the sink's side of the ledger.
func (s *Sink) Account() *ledger.Account { return s.account }

// Enqueue takes an item over. It never blocks. After the end of Run the item
// is dropped.
func (s *Sink) Enqueue(item *Item) {
	if attempt := s.Accept(item); attempt != nil {
		go attempt()
	}
}

// Accept is Enqueue for a caller that can make an attempt itself. If attempt isn't
// nil, the caller must call it. attempt goes on with the next items until there is
// none. Run waits for it at its end.
func (s *Sink) Accept(item *Item) (attempt func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.account.Drop(ledger.ReasonShutdown)
		item.Release()
		return nil
	}
	first, now := s.routes[0], time.Now()
	first.core.Step(now, enqueued{item: item})
	if own := s.advance(now, first); own != nil {
		return s.worker(s.running, first, own)
	}
	return nil
}

// Oldest is when the oldest waiting item was observed, zero where none waits.
func (s *Sink) Oldest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := never
	for _, r := range s.routes {
		oldest = oldest.earliest(r.core.Oldest())
	}
	return oldest.at
}

// HeldBytes is what the sink's events hold of the budget, those in flight too.
func (s *Sink) HeldBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := int64(0)
	for _, r := range s.routes {
		held += r.core.budget.held
	}
	return held
}

// SinkStatus is a sink at one instant. Its JSON is that of the ledger.
type SinkStatus struct {
	ledger.Snapshot
	// OldestAge is that of the oldest event that waits, or 0.
	OldestAge time.Duration `json:"-"`
	// HeldBytes is what the sink's events hold of the budget, those in flight too.
	HeldBytes int64 `json:"-"`
	// AddressFailures counts contents of the address files of the sink and its dead
	// letter sink that couldn't be used.
	AddressFailures uint64 `json:"-"`
}

// Status says how the sink does.
func (s *Sink) Status() SinkStatus {
	status := SinkStatus{Snapshot: s.account.Snapshot(), HeldBytes: s.HeldBytes()}
	if oldest := s.Oldest(); !oldest.IsZero() {
		status.OldestAge = time.Since(oldest)
	}
	for _, r := range s.routes {
		if sender, ok := r.sender.(*HTTPSender); ok {
			status.AddressFailures += sender.AddressFailures()
		}
	}
	return status
}

// OldestFirst makes the sink send its oldest item next: it is draining.
func (s *Sink) OldestFirst() {
	s.change(func(now time.Time) { s.stepAll(now, draining{}) })
}

// Run delivers until ctx is done. Then it cuts off the attempts that are under
// way, and drops what is left for shutdown.
func (s *Sink) Run(ctx context.Context) {
	s.panics.Agent(func() { s.keepTime(ctx) })
	s.workers.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stepAll(time.Now(), closed{})
	s.advance(time.Now(), nil)
	s.closed = true
}

// keepTime has the cores asked when they said, until ctx is done.
func (s *Sink) keepTime(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	s.setRunning(ctx)
	defer s.stopRunning()
	for ctx.Err() == nil {
		timer.Stop()
		var timeout <-chan time.Time
		if alarm := s.look(); alarm.set {
			timer.Reset(time.Until(alarm.at))
			timeout = timer.C
		}
		select {
		case <-s.wake:
		case <-timeout:
		case <-ctx.Done():
		}
	}
}

func (s *Sink) setRunning(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = ctx
	s.stepAll(time.Now(), started{})
}

func (s *Sink) stopRunning() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
	s.stepAll(time.Now(), stopped{})
}

// look asks the cores, and gives the time of the next look.
func (s *Sink) look() alarm {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(time.Now(), nil)
	s.alarm = s.wanted
	return s.alarm
}

// stepAll tells each core the same. It needs the lock.
func (s *Sink) stepAll(now time.Time, in input) {
	for _, r := range s.routes {
		r.core.Step(now, in)
	}
}

// advance does what the cores ask for now. The first attempt of a worker's own
// route is that worker's. It needs the lock.
func (s *Sink) advance(now time.Time, worker *route) (own *Item) {
	in := input(tick{})
	if s.running != nil && s.running.Err() != nil {
		in = stopped{}
	}
	for again := true; again; {
		again = false
		s.wanted = never
		// What the first route doesn't deliver may be a dead letter on the second.
		for _, r := range s.routes {
			r.core.Step(now, in)
			asked := r.core.Ready()
			for _, o := range asked.Outcomes {
				s.book(r, o, asked, now)
			}
			s.spooling.acknowledge(asked.Acknowledge)
			for _, item := range asked.Attempts {
				if item.retry.attempts > 1 {
					s.account.Retry()
				}
				if r == worker && own == nil {
					own = item
				} else {
					go s.worker(s.running, r, item)()
				}
			}
			again = s.spooling.move(asked, now) || again
			s.wanted = s.wanted.earliest(asked.Wake)
			r.core.Advance()
		}
	}
	if s.wanted.set && (!s.alarm.set || s.wanted.at.Before(s.alarm.at)) {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return own
}

// book books an outcome in the ledger, and sends what the sink didn't take to its
// dead letter sink. Where that has no room, the record is to be acknowledged, too.
func (s *Sink) book(r *route, o outcome, asked *ready, now time.Time) {
	reason := o.Reason
	if r.failedAt != nil && reason != ledger.ReasonShutdown {
		reason = o.Item.undelivered
	}
	switch o.Kind {
	case outcomeDelivered:
		if r.failedAt != nil {
			s.account.DeadLetter()
		} else {
			s.account.Deliver()
		}
	case outcomeDropped:
		s.account.DropAll(max(o.Events, 1), reason)
	case outcomeUndelivered:
		if s.spooling.reserve(o.Item) {
			o.Item.becomeDeadLetter(reason, now)
			s.routes[1].core.Step(now, enqueued{item: o.Item})
			return
		}
		s.account.Drop(reason)
		asked.Acknowledge = append(asked.Acknowledge, o.Item.record.number)
	case outcomeSpooled:
		s.account.Spool()
	case outcomeRecovered:
		s.account.Recover(o.Events)
	}
	if o.Item != nil {
		o.Item.release()
	}
}

// worker returns what makes an attempt and those that follow it. It needs the lock.
func (s *Sink) worker(ctx context.Context, r *route, item *Item) func() {
	s.workers.Add(1)
	return func() {
		defer s.workers.Done()
		s.panics.Agent(func() {
			for item != nil {
				item = s.attempt(ctx, r, item)
			}
		})
	}
}

// attemptContext returns the context of an attempt that begins now.
func (r *route) attemptContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := r.sender.(punctual); ok {
		return untimed{ctx, time.Now().Add(r.attemptTimeout)}, func() {}
	}
	return context.WithTimeout(ctx, r.attemptTimeout)
}

// attempt makes one attempt, and gives the item of the worker's next one.
func (s *Sink) attempt(ctx context.Context, r *route, item *Item) *Item {
	attemptContext, cancel := r.attemptContext(ctx)
	defer cancel()
	result := Result{Unsendable: true}
	s.panics.Event(func() {
		if e, err := r.event(item); err == nil {
			sendContext, done := r.beginAttempt(attemptContext, e, item.retry.attempts)
			result = r.sender.Send(sendContext, e, item.Sequence)
			done(result)
		}
	})

	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if ctx.Err() != nil && Judge(result) == Retry {
		r.core.Step(now, attemptAbandoned{item: item})
	} else {
		r.core.Step(now, attemptEnded{item: item, result: result})
	}
	return s.advance(now, r)
}

// change tells the cores something, unless the sink has ended, and does what
// follows from it.
func (s *Sink) change(tell func(now time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	now := time.Now()
	tell(now)
	s.advance(now, nil)
}
