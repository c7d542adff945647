/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/capture"
	"github.com/sidenote-dev/sidenote/pkg/agent/delivery"
	"github.com/sidenote-dev/sidenote/pkg/agent/event"
	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
	"github.com/sidenote-dev/sidenote/pkg/metadata"
)

// slowSink takes an item when it is let.
type slowSink struct {
	account ledger.Account
	let     chan struct{}
}

func (s *slowSink) Account() *ledger.Account { return &s.account }

func (s *slowSink) Enqueue(*delivery.Item) { <-s.let }

// TestAnEventIsHandedOverOnceItsSinkHasIt, not while it waits to be built or is
// being built, and an event that is dropped before that holds back none.
func TestAnEventIsHandedOverOnceItsSinkHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &slowSink{let: make(chan struct{})}
		budget := capture.NewBudget(5 * delivery.OverheadBytes)
		settings := Settings{
			Selection:  event.Select(event.ModeAll, event.Kinds()),
			Builder:    &event.Builder{Identity: event.Identity{Source: "m", AgentInstance: "i"}, ContentMode: event.ContentModeAuto, MaxPayloadBytes: 100},
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
		sink.let <- struct{}{}
		handedOver(1, "while the second is")
		sink.let <- struct{}{}
		handedOver(2, "when nothing is left")
		for range 5 {
			observe()
		}
		handedOver(2, "while the third is, and later ones found no room")
		if dropped := sink.account.Snapshot().Dropped[ledger.ReasonBudget]; dropped != 2 {
			t.Errorf("%d are dropped", dropped)
		}
		for range 3 {
			sink.let <- struct{}{}
		}
		handedOver(7, "when nothing is left but what was dropped")
	})
}
