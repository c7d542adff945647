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
)

// Sender makes one attempt to hand an event to a sink. It returns when ctx is
// done.
type Sender interface {
	Send(ctx context.Context, e *event.Event, sequence uint64) Result
}

// Sink runs the core of one sink: it makes the attempts that the core asks for
// and tells it what came of them. It is safe for concurrent use.
type Sink struct {
	name           string
	sender         Sender
	account        *ledger.Account
	attemptTimeout time.Duration
	observeAttempt func(time.Duration, Result)

	mu     sync.Mutex
	core   *Core
	closed bool

	wake     chan struct{}
	attempts sync.WaitGroup
}

// Options are what a Sink can be told beside its core's Config.
type Options struct {
	Config
	// AttemptTimeout bounds one attempt.
	AttemptTimeout time.Duration
	// ObserveAttempt is told how long each attempt took, and its result.
	ObserveAttempt func(time.Duration, Result)
}

// NewSink gives a sink. Nothing goes out before Run.
func NewSink(name string, sender Sender, options Options) *Sink {
	account := new(ledger.Account)
	return &Sink{
		name:           name,
		sender:         sender,
		account:        account,
		attemptTimeout: options.AttemptTimeout,
		observeAttempt: options.ObserveAttempt,
		core:           NewCore(options.Config, account),
		wake:           make(chan struct{}, 1),
	}
}

// Name is the sink's name.
func (s *Sink) Name() string { return s.name }

// Account is the sink's side of the ledger.
func (s *Sink) Account() *ledger.Account { return s.account }

// Enqueue takes an item over. It never blocks. After the end of Run the item
// is dropped.
func (s *Sink) Enqueue(item *Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.account.Drop(ledger.ReasonShutdown)
		item.Release()
		return
	}
	s.core.Add(item)
	s.signal()
}

// Oldest is when the oldest waiting item was observed, zero where none waits.
func (s *Sink) Oldest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.Oldest()
}

// OldestFirst makes the sink send its oldest item next: it is draining.
func (s *Sink) OldestFirst() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.core.OldestFirst()
}

// Run delivers until ctx is done. Then it cuts off the attempts that are under
// way, and drops what is left for shutdown.
func (s *Sink) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		s.mu.Lock()
		now := time.Now()
		item, again := s.core.Next(now)
		s.mu.Unlock()
		if item != nil {
			s.attempts.Go(func() { s.attempt(ctx, item) })
			continue
		}
		timer.Stop()
		var timeout <-chan time.Time
		if !again.IsZero() {
			timer.Reset(again.Sub(now))
			timeout = timer.C
		}
		select {
		case <-s.wake:
		case <-timeout:
		case <-ctx.Done():
		}
	}
	s.attempts.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.core.DropAll(ledger.ReasonShutdown)
}

func (s *Sink) attempt(ctx context.Context, item *Item) {
	attemptContext, cancel := context.WithTimeout(ctx, s.attemptTimeout)
	defer cancel()
	begun := time.Now()
	result := s.sender.Send(attemptContext, item.Event, item.Sequence)
	s.observeAttempt(time.Since(begun), result)

	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil && Judge(result) == Retry {
		s.core.Abandoned(item)
	} else {
		s.core.Done(item, result, time.Now())
	}
	s.signal()
}

func (s *Sink) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
