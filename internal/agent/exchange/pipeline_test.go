/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/capture"
	"github.com/sidenote-dev/sidenote/internal/agent/delivery"
	"github.com/sidenote-dev/sidenote/internal/agent/event"
	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agentconfig"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// slowSink takes an item when it is let, the nth by let[n].
type slowSink struct {
	account ledger.Account
	let     [8]chan struct{}
}

func newSlowSink() *slowSink {
	s := new(slowSink)
	for i := range s.let {
		s.let[i] = make(chan struct{})
	}
	return s
}

func (s *slowSink) Account() *ledger.Account { return &s.account }

func (s *slowSink) Accept(item *delivery.Item) func() {
	<-s.let[item.Sequence]
	return nil
}

// TestAnEventIsHandedOverOnceItsSinkHasIt, not while it waits to be built or is
// being built, and an event that is dropped before that holds back none.
func TestAnEventIsHandedOverOnceItsSinkHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newSlowSink()
		budget := capture.NewBudget(5 * delivery.OverheadBytes)
		settings := Settings{
			Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
			Builder:    &event.Builder{Identity: event.Identity{Source: "m", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 100},
			Deadline:   time.Minute,
			Attributes: func() []metadata.Attribute { return nil },
		}
		p := NewPipeline(settings, budget, []Sink{sink}, new(ledger.Account))
		observe := func() {
			p.observe(&observed{lease: budget.Lease(), observation: event.Observation{
				Exchange: &event.Exchange{CorrelationID: "c"}, Side: event.Request, Complete: true,
				Status: event.NoStatus, GRPCStatus: event.NoStatus, At: time.Now(),
			}})
		}
		handedOver := func(want uint64, when string) {
			t.Helper()
			synctest.Wait()
			if got := p.HandedOver()[0]; got != want {
				t.Errorf("%s: all up to %d are handed over, not %d", when, got, want)
			}
		}
		handedOver(0, "at first")
		observe()
		observe()
		handedOver(0, "before one is built")
		go p.Run(t.Context())
		handedOver(0, "while the first is being handed over")
		sink.let[1] <- struct{}{}
		handedOver(1, "while the second is")
		sink.let[2] <- struct{}{}
		handedOver(2, "when nothing is left")
		for range 5 {
			observe()
		}
		handedOver(2, "while the third is, and later ones found no room")
		if dropped := sink.account.Snapshot().Dropped[ledger.ReasonBudget]; dropped != 2 {
			t.Errorf("%d are dropped", dropped)
		}
		for n := 3; n <= 5; n++ {
			sink.let[n] <- struct{}{}
		}
		handedOver(7, "when nothing is left but what was dropped")
	})
}

// busySink returns an attempt for each item, which lasts until it is let.
type busySink struct {
	account  ledger.Account
	accepted atomic.Int64
	begun    atomic.Int64
	let      chan struct{}
}

func (s *busySink) Account() *ledger.Account { return &s.account }

func (s *busySink) Accept(item *delivery.Item) func() {
	s.accepted.Add(1)
	return func() {
		s.begun.Add(1)
		<-s.let
		s.account.Deliver()
		item.Release()
	}
}

// TestAnAttemptHoldsUpNothing: neither the events that follow, nor those to
// another sink, nor the end of Run.
func TestAnAttemptHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events = 3 * maxResting
		sinks := []*busySink{{let: make(chan struct{})}, {let: make(chan struct{})}}
		budget := capture.NewBudget(1 << 20)
		p := NewPipeline(Settings{
			Selection:  event.Select(agentconfig.ModeAll, agentconfig.Kinds()),
			Builder:    &event.Builder{Identity: event.Identity{Source: "m", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 100},
			Deadline:   time.Minute,
			Attributes: func() []metadata.Attribute { return nil },
		}, budget, []Sink{sinks[0], sinks[1]}, new(ledger.Account))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := false
		go func() {
			p.Run(ctx)
			ended = true
		}()
		// In the second round there are workers that rest.
		for round := int64(1); round <= 2; round++ {
			for range events {
				p.observe(&observed{lease: budget.Lease(), observation: event.Observation{
					Exchange: &event.Exchange{CorrelationID: "c"}, Side: event.Request, Complete: true,
					Status: event.NoStatus, GRPCStatus: event.NoStatus, At: time.Now(),
				}})
			}
			synctest.Wait()
			for i, sink := range sinks {
				if accepted, begun := sink.accepted.Load(), sink.begun.Load(); accepted != round*events || begun != round*events {
					t.Errorf("round %d: sink %d got %d events, and %d attempts began, of %d", round, i, accepted, begun, round*events)
				}
			}
			if !p.Empty() {
				t.Errorf("round %d: an event waits", round)
			}
			if round == 2 {
				stop()
				synctest.Wait()
				if !ended {
					t.Error("Run waits for attempts")
				}
			}
			for _, sink := range sinks {
				for range events {
					sink.let <- struct{}{}
				}
			}
			synctest.Wait()
			if resting := p.resting.Load(); round == 1 && resting != maxResting {
				t.Errorf("%d workers rest, want %d", resting, maxResting)
			}
		}
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes are held", used)
		}
	})
}
