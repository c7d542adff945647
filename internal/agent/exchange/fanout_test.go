/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package exchange

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
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

// keepingSink takes every item at once, and keeps what came.
type keepingSink struct {
	account ledger.Account

	mu   sync.Mutex
	came map[uint64]string
}

func (s *keepingSink) Account() *ledger.Account { return &s.account }

func (s *keepingSink) Accept(item *delivery.Item) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.came == nil {
		s.came = make(map[uint64]string)
	}
	s.came[item.Sequence] = item.Event.ID()
	s.account.Deliver()
	item.Release()
	return nil
}

// ids are the events that came, sorted.
func (s *keepingSink) ids() (ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.came {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func subscription(t *testing.T, mode agentconfig.Mode, filter string, kinds ...agentconfig.Kind) event.Subscription {
	t.Helper()
	made, err := event.SubscriptionOf(&agentconfig.Sink{Mode: mode, Events: kinds, Filter: filter})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// fanOut is a pipeline to a sink for each subscription.
func fanOut(budget *capture.Budget, subscriptions []event.Subscription) (*Pipeline, []*keepingSink) {
	var kept []*keepingSink
	var sinks []Sink
	for range subscriptions {
		kept = append(kept, new(keepingSink))
		sinks = append(sinks, kept[len(kept)-1])
	}
	return NewPipeline(Settings{
		Subscriptions: subscriptions,
		Builder:       &event.Builder{Identity: event.Identity{Source: "m", AgentInstance: "i"}, ContentMode: agentconfig.ContentModeAuto, MaxPayloadBytes: 100},
		Deadline:      time.Minute,
		Attributes:    func() []metadata.Attribute { return []metadata.Attribute{{Name: "team", Value: "risk"}} },
	}, budget, sinks, new(ledger.Account)), kept
}

func observation(id string, side event.Side, status int) event.Observation {
	return event.Observation{
		Exchange: &event.Exchange{CorrelationID: id, Path: "/p"}, Side: side, Complete: true, Status: status, GRPCStatus: event.NoStatus, At: time.Now(),
	}
}

// TestEachSinkGetsItsOwn selection and filter of the same events.
func TestEachSinkGetsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := agentconfig.Kinds()
		budget := capture.NewBudget(1 << 20)
		p, sinks := fanOut(budget, []event.Subscription{
			subscription(t, agentconfig.ModeAll, "", all...),
			subscription(t, agentconfig.ModeRequest, "", all...),
			subscription(t, agentconfig.ModeAll, `{"cesql":"statuscode >= 500"}`, agentconfig.KindResponse, agentconfig.KindResponseFailure),
			subscription(t, agentconfig.ModeAll, `{"exact":{"team":"other"}}`, all...),
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go p.Run(ctx)
		for n, status := range []int{200, 503, 200} {
			id := fmt.Sprint(n)
			p.observe(&observed{lease: budget.Lease(), observation: observation(id, event.Request, event.NoStatus)})
			p.observe(&observed{lease: budget.Lease(), observation: observation(id, event.Response, status)})
		}
		synctest.Wait()
		for i, want := range []string{
			"0-request 0-response 1-request 1-response 2-request 2-response", "0-request 1-request 2-request", "1-response", "",
		} {
			if got := strings.Join(sinks[i].ids(), " "); got != want {
				t.Errorf("sink %d got %s, want %s", i, got, want)
			}
			for n := range sinks[i].came {
				if n > uint64(len(sinks[i].came)) {
					t.Errorf("sink %d: the sequence has a gap before %d: %v", i, n, sinks[i].came)
				}
			}
		}
		skips := func(i int) string {
			s := sinks[i].account.Snapshot()
			return fmt.Sprint(s.SkippedEvents, s.Filtered)
		}
		for i, want := range []string{"map[] 0", "map[response:2 response.failure:1] 0", "map[request:3] 2", "map[] 6"} {
			if got := skips(i); got != want {
				t.Errorf("sink %d skipped %s, want %s", i, got, want)
			}
		}
		if total := p.Skips().Snapshot().Events; len(total) > 0 {
			t.Errorf("events that a sink wants are skipped: %v", total)
		}
		if through := p.HandedOver(); !slices.Equal(through, []uint64{6, 3, 1, 0}) {
			t.Errorf("handed over are %v", through)
		}
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes are held", used)
		}
	})
}

// TestWhatNoSinkWantsIsSkippedOnce, and not for each sink.
func TestWhatNoSinkWantsIsSkippedOnce(t *testing.T) {
	p, sinks := fanOut(capture.NewBudget(1<<20), []event.Subscription{
		subscription(t, agentconfig.ModeAll, "", agentconfig.KindRequest), subscription(t, agentconfig.ModeRequest, "", agentconfig.Kinds()...),
	})
	p.observe(&observed{lease: p.budget.Lease(), observation: observation("a", event.Response, 200)})
	if got := p.Skips().Snapshot().Events; len(got) != 1 || got["response"] != 1 {
		t.Errorf("skipped are %v", got)
	}
	for i, sink := range sinks {
		if got := sink.account.Snapshot(); got.Observed+got.Skipped() != 0 {
			t.Errorf("sink %d: %+v", i, got)
		}
	}
}

// TestAnEventThatEndsBeforeTheFilterIsLost: nobody knows whether the sink would have
// got it.
func TestAnEventThatEndsBeforeTheFilterIsLost(t *testing.T) {
	p, sinks := fanOut(capture.NewBudget(2*delivery.OverheadBytes), []event.Subscription{
		subscription(t, agentconfig.ModeAll, `{"exact":{"team":"other"}}`, agentconfig.Kinds()...),
	})
	for n := range 3 {
		p.observe(&observed{lease: p.budget.Lease(), observation: observation(fmt.Sprint(n), event.Request, event.NoStatus)})
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	dropAll(p)
	p.Run(ctx)
	got := sinks[0].account.Snapshot()
	if got.Observed != 3 || got.Dropped[ledger.ReasonBudget] != 1 || got.Dropped[ledger.ReasonShutdown] != 2 || got.Pending+got.Filtered != 0 {
		t.Errorf("the ledger says %+v", got)
	}
	if used := p.budget.Used(); used != 0 {
		t.Errorf("%d bytes are held", used)
	}
}

// TestAProfileThatCannotExpressAnEvent drops it for the sinks with that profile only.
// Without a correlation ID, which each exchange has, such an event has no id.
func TestAProfileThatCannotExpressAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := agentconfig.Kinds()
		own, kserve := subscription(t, agentconfig.ModeAll, "", all...), subscription(t, agentconfig.ModeAll, "", all...)
		filtered := subscription(t, agentconfig.ModeAll, `{"exact":{"team":"risk"}}`, all...)
		kserve.Profile, filtered.Profile = agentconfig.ProfileKServe, agentconfig.ProfileKServe
		budget := capture.NewBudget(1 << 20)
		p, sinks := fanOut(budget, []event.Subscription{own, kserve, filtered})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go p.Run(ctx)
		for _, id := range []string{"a", "", "b"} {
			p.observe(&observed{lease: budget.Lease(), observation: observation(id, event.Request, event.NoStatus)})
		}
		synctest.Wait()
		for i, want := range []string{"-request a-request b-request", "a b", "a b"} {
			if got := strings.Join(sinks[i].ids(), " "); got != want {
				t.Errorf("sink %d got %s, want %s", i, got, want)
			}
			lost := uint64(3 - len(sinks[i].came))
			if got := sinks[i].account.Snapshot(); got.Observed != 3 || got.Dropped[ledger.ReasonInvalid] != lost || got.DroppedTotal() != lost || got.Pending != 0 {
				t.Errorf("sink %d: %+v", i, got)
			}
		}
		if through := p.HandedOver(); !slices.Equal(through, []uint64{3, 3, 3}) {
			t.Errorf("handed over are %v", through)
		}
		if used := budget.Used(); used != 0 {
			t.Errorf("%d bytes are held", used)
		}
	})
}

// TestTheLawHoldsForEachSink under random subscriptions, budgets and interleavings:
// each event of each sink is delivered, dropped, filtered or skipped, and nothing is
// held in the end.
func TestTheLawHoldsForEachSink(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			filters := []string{"", "", `{"exact":{"team":"risk"}}`, `{"suffix":{"type":"request"}}`, `{"not":{"cesql":"statuscode < 500"}}`, `{"cesql":"missing = 1"}`}
			var subscriptions []event.Subscription
			for range 1 + random.IntN(4) {
				var kinds []agentconfig.Kind
				for _, kind := range agentconfig.Kinds() {
					if random.IntN(3) > 0 {
						kinds = append(kinds, kind)
					}
				}
				subscriptions = append(subscriptions, subscription(t, agentconfig.Modes()[random.IntN(3)], filters[random.IntN(len(filters))], kinds...))
			}
			budget := capture.NewBudget(int64(1+random.IntN(20)) * delivery.OverheadBytes)
			p, sinks := fanOut(budget, subscriptions)
			ctx, stop := context.WithCancel(t.Context())
			var running sync.WaitGroup
			begin, end := random.IntN(40), random.IntN(80)
			const sides = 60
			for n := range sides {
				if n == begin {
					running.Go(func() { p.Run(ctx) })
				}
				if n == end {
					stop()
				}
				side, status := event.Request, event.NoStatus
				if random.IntN(2) == 0 {
					side, status = event.Response, []int{200, 503}[random.IntN(2)]
				}
				p.observe(&observed{lease: budget.Lease(), observation: observation(fmt.Sprint(n), side, status)})
				if random.IntN(5) == 0 {
					synctest.Wait()
				}
				for i, through := range p.HandedOver() {
					if observed := sinks[i].account.Snapshot().Observed; through > observed {
						t.Errorf("%d are handed over of %d", through, observed)
					}
				}
			}
			synctest.Wait()
			stop()
			running.Wait()
			everywhere := uint64(0)
			for _, count := range p.Skips().Snapshot().Events {
				everywhere += count
			}
			for i, sink := range sinks {
				got := sink.account.Snapshot()
				if got.Observed != got.Delivered+got.DroppedTotal() || got.Pending != 0 || got.Delivered != uint64(len(sink.came)) {
					t.Errorf("seed %d, sink %d: %+v, %d came", seed, i, got, len(sink.came))
				}
				if total := got.Observed + got.Skipped() + everywhere; total != sides {
					t.Errorf("seed %d, sink %d: %d sides are counted of %d: %+v, skipped everywhere %d", seed, i, total, sides, got, everywhere)
				}
				if got.DroppedTotal() == 0 && p.HandedOver()[i] != got.Observed {
					t.Errorf("seed %d, sink %d: %d are handed over of %d", seed, i, p.HandedOver()[i], got.Observed)
				}
			}
			if used := budget.Used(); used != 0 {
				t.Errorf("seed %d: %d bytes are held", seed, used)
			}
		})
	}
}
