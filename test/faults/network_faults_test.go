/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"math/rand/v2"
	"testing"
)

// TestBrokenNetwork: whatever the way to the sink does, clients are served,
// the ledger closes, and what comes after the fault arrives.
func TestBrokenNetwork(t *testing.T) {
	for _, broken := range []fault{refusing, resetting, swallowing, halfOpen, trickling} {
		t.Run(string(broken), func(t *testing.T) {
			inRounds(t, func(t *testing.T, choose *rand.Rand) {
				r := newRig(t, impatient())
				r.load(4, 5, small(), overHTTP2(small()), serverSentEvents(), streaming())
				stop := r.begin(2, sized(choose.IntN(4000), choose.IntN(4000)), overHTTP2(small()))
				r.network.become(broken)
				r.awaitFailure(2)
				stop()
				hold(t, r.soFar(), always()...)

				r.network.become(healthy)
				r.awaitArrival(r.one(small()))
				hold(t, r.atRest(), always()...)
			})
		})
	}
}

// TestSlowNetworkLosesNothing loses nothing.
func TestSlowNetworkLosesNothing(t *testing.T) {
	inRounds(t, func(t *testing.T, _ *rand.Rand) {
		r := newRig(t, withLedger())
		r.network.become(slow)
		r.load(4, 10, small())
		e := r.atRest()
		hold(t, e, append(always(), lossesAreCountable)...)
		if lost := e.agent.DroppedTotal(); lost != 0 || e.agent.Retried != 0 {
			t.Errorf("the ledger says %+v", e.agent)
		}
	})
}

// TestOutage: the sink is away, another one takes its place, and the whole
// backlog arrives while clients go on.
func TestOutage(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t, withLedger())
		r.load(2, 10, small())
		r.network.become(refusing)
		r.load(4, 50+choose.IntN(50), small())
		r.restartSink()
		r.awaitFailure(1)
		hold(t, r.soFar(), always()...)

		r.network.become(healthy)
		r.load(4, 25, small(), sized(5000, 5000))
		r.awaitArrival(r.one(small()))
		e := r.atRest()
		hold(t, e, append(always(), lossesAreCountable)...)
		if e.agent.DroppedTotal() != 0 {
			t.Errorf("an outage within the budget lost events: %+v", e.agent)
		}
	})
}

// TestClientsDoNotNoticeTheSink (P6): the same exchanges give the same responses,
// whatever becomes of the sink.
func TestClientsDoNotNoticeTheSink(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		sorts := []sort{
			small(), overHTTP2(small()), sized(choose.IntN(100_000), choose.IntN(100_000)),
			serverSentEvents(), overHTTP2(serverSentEvents()), streaming(), sized(0, 0), sized(0, 600_000),
		}
		var up map[string]sent
		for _, state := range []fault{healthy, refusing, swallowing, trickling, slow} {
			r := newRig(t, called("same"), with("--buffer-bytes=65536"))
			r.network.become(state)
			// One client, so that the exchanges have the same ids each time.
			r.load(1, 3*len(sorts), sorts...)
			e := r.soFar()
			hold(t, e, always()...)
			if state == healthy {
				up = e.clients
			} else if err := sameForClients(up, e.clients); err != nil {
				t.Errorf("a sink that is %s: %v", state, err)
			}
			r.Kill()
		}
	})
}
