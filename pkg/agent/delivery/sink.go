/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/agent/panics"
)

// Sender makes one attempt to hand an event to a sink. It returns when ctx is
// done.
type Sender interface {
	Send(ctx context.Context, e *event.Event, sequence uint64) Result
}

// BeginAttempt is told of an attempt to send an event, the nth from 1. It gives
// the context to send it with, and what is told of its result.
type BeginAttempt func(ctx context.Context, e *event.Event, n int) (context.Context, func(Result))

// Sink runs the core of one sink, and that of its dead letter sink: it makes
// the attempts that they ask for and tells them what came of each. It is safe
// for concurrent use.
//
// Whoever changes a core has the attempts begin that it now asks for. Each is
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
	// again is when a core may ask for an attempt without being told anything,
	// zero for never, and alarm is when Run looks by itself.
	again, alarm time.Time
	// routes are where events go: the sink, and where there is one the dead
	// letter sink.
	routes []*route
	// spooling is nil where there is no spool.
	spooling *spooling
	panics   panics.Handler
}

// route is one way that events go out.
type route struct {
	core           *Core
	sender         Sender
	attemptTimeout time.Duration
	beginAttempt   BeginAttempt
	// event gives what goes out of an item.
	event func(*Item) (*event.Event, error)
}

// Options are what a Sink can be told beside its core's Config.
type Options struct {
	Config
	// AttemptTimeout bounds one attempt.
	AttemptTimeout time.Duration
	// BeginAttempt is told of each attempt.
	BeginAttempt BeginAttempt
	// Panics says what becomes of panics.
	Panics panics.Handler
	// DeadLetters is nil where there is no dead letter sink.
	DeadLetters *DeadLetterOptions
	// Spool is nil where there is none.
	Spool *SpoolOptions
}

// DeadLetterOptions say what becomes of events that the sink doesn't take.
type DeadLetterOptions struct {
	Sender Sender
	// Destination names the sink that didn't take them, in their attribute
	// knativeerrordest: where it is now.
	Destination func() string
	// BeginAttempt is told of each attempt.
	BeginAttempt BeginAttempt
}

// NewSink gives a sink. Nothing goes out before Run.
func NewSink(name string, sender Sender, options Options) *Sink {
	account := new(ledger.Account)
	s := &Sink{name: name, account: account, panics: options.Panics, wake: make(chan struct{}, 1)}
	first := &route{
		core:           NewCore(options.Config, account),
		sender:         sender,
		attemptTimeout: options.AttemptTimeout,
		beginAttempt:   options.BeginAttempt,
		event:          func(item *Item) (*event.Event, error) { return item.Event, nil },
	}
	s.routes = []*route{first}
	if letters := options.DeadLetters; letters != nil {
		config := options.Config
		// What waits there takes room that new events need.
		config.MaxBytes /= 2
		second := &route{
			core:           NewDeadLetterCore(config, account),
			sender:         letters.Sender,
			attemptTimeout: options.AttemptTimeout,
			beginAttempt:   letters.BeginAttempt,
			event: func(item *Item) (*event.Event, error) {
				return item.Event.DeadLetter(event.Failure{
					Destination: letters.Destination(),
					Status:      item.failure.Status,
					Body:        item.failure.Body,
				})
			},
		}
		first.core.SendDeadLettersTo(second.core)
		s.routes = append(s.routes, second)
	}
	if options.Spool != nil {
		s.spooling = newSpooling(s, *options.Spool)
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

// Accept is Enqueue for a caller that makes the attempt which may begin now: it
// must call attempt where that isn't nil. attempt goes on with the next ones and
// returns when there is none, or at the end of Run, which waits for it.
func (s *Sink) Accept(item *Item) (attempt func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.account.Drop(ledger.ReasonShutdown)
		item.Release()
		return nil
	}
	first := s.routes[0]
	first.core.Add(item)
	if own := s.advance(first); own != nil {
		return s.worker(s.running, first, own)
	}
	return nil
}

// Oldest is when the oldest waiting item was observed, zero where none waits.
func (s *Sink) Oldest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := time.Time{}
	for _, r := range s.routes {
		oldest = soonest(oldest, r.core.Oldest())
	}
	return oldest
}

// HeldBytes is what the sink's events hold of the budget, those in flight too.
func (s *Sink) HeldBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := int64(0)
	for _, r := range s.routes {
		held += r.core.held
	}
	return held
}

// OldestFirst makes the sink send its oldest item next: it is draining.
func (s *Sink) OldestFirst() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.routes {
		r.core.OldestFirst()
	}
	s.advance(nil)
}

// Run delivers until ctx is done. Then it cuts off the attempts that are under
// way, and drops what is left for shutdown.
func (s *Sink) Run(ctx context.Context) {
	s.panics.Agent(func() { s.keepTime(ctx) })
	s.workers.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, r := range s.routes {
		r.core.DropAll(ledger.ReasonShutdown)
	}
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
		if alarm := s.look(); !alarm.IsZero() {
			timer.Reset(time.Until(alarm))
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
}

func (s *Sink) stopRunning() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
}

// look asks the cores, and gives the time of the next look.
func (s *Sink) look() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(nil)
	s.alarm = s.again
	return s.alarm
}

// advance has the attempts begin that the cores ask for now. The first one on a
// worker's own route is that worker's. It needs the lock.
func (s *Sink) advance(worker *route) (own *Item) {
	if s.running == nil || s.running.Err() != nil {
		return nil
	}
	now := time.Now()
	s.again = time.Time{}
	// What expires on the first route may be a dead letter on the second.
	for _, r := range s.routes {
		item, again := r.core.Next(now)
		for ; item != nil; item, again = r.core.Next(now) {
			if r == worker && own == nil {
				own = item
			} else {
				go s.worker(s.running, r, item)()
			}
		}
		s.again = soonest(s.again, again)
	}
	if s.spooling != nil {
		s.again = soonest(s.again, s.spooling.move(now))
	}
	if !s.again.IsZero() && (s.alarm.IsZero() || s.again.Before(s.alarm)) {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return own
}

// worker gives what makes an attempt and those that follow it. It needs the lock.
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

// attemptContext gives the context of an attempt that begins now.
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
			sendContext, done := r.beginAttempt(attemptContext, e, item.attempts)
			result = r.sender.Send(sendContext, e, item.Sequence)
			done(result)
		}
	})

	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil && Judge(result) == Retry {
		r.core.Abandoned(item)
	} else {
		r.core.Done(item, result, time.Now())
	}
	return s.advance(r)
}

// change tells the cores something, unless the sink has ended, and has the
// attempts begin that follow from it.
func (s *Sink) change(tell func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	tell()
	s.advance(nil)
}
