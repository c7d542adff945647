/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// arrivalTime is what P4 grants an event after the fault's end.
const arrivalTime = 30 * time.Second

// TestEventsArriveAfterLongOutage (P4): a backlog waits, and in the long form
// the gate is at its longest backoff after ten failed probes. An event observed
// after the fault's end arrives within 30 s, whatever the backlog.
func TestEventsArriveAfterLongOutage(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t)
		r.network.become(refusing)
		r.load(8, 100+choose.IntN(100), small(), sized(5000, 5000))
		if *rounds > 1 {
			// Ten probes, for every other one is of an event that is new: up to
			// a minute and a half of backoff.
			r.awaitFailure(5)
		}
		backlog := r.ledger().Pending
		r.network.become(healthy)
		ended := time.Now()
		r.awaitArrival(r.one(small()))
		t.Logf("behind a backlog of %d events, one observed after the outage arrived after %s", backlog, time.Since(ended).Round(time.Millisecond))
		e := r.atRest()
		hold(t, e, append(always(), lossesAreCountable)...)
		if e.agent.DroppedTotal() != 0 {
			t.Errorf("the ledger says %+v", e.agent)
		}
	})
}

// TestEventsArriveAfterFullBudget (P4, as far as it goes): while the budget
// is full an event is lost, and counted, after the fault's end too. From the
// moment that the sink has taken one again, all arrive.
func TestEventsArriveAfterFullBudget(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t, with("--buffer-bytes=300000"))
		r.network.become(refusing)
		r.load(4, 50+choose.IntN(50), small(), sized(2000, 5000))
		if full := r.ledger(); full.Dropped[ledger.ReasonBudget] == 0 {
			t.Fatalf("the budget is not full: %+v", full)
		}
		r.network.become(healthy)
		ended, lost := time.Now(), r.ledger().DroppedTotal()
		stop := r.begin(2, small(), overHTTP2(small()))
		r.awaitSuccess()
		agenttest.Eventually(t, "the backlog is away", func() bool { return r.ledger().Pending < 5 })
		took, lost := time.Since(ended), r.ledger().DroppedTotal()-lost
		id := r.one(small())
		stop()
		r.awaitArrival(id)
		t.Logf("the backlog was away %s after the outage; %d new events were lost meanwhile", took.Round(time.Millisecond), lost)
		hold(t, r.atRest(), append(always(), lossesAreCountable)...)
	})
}
