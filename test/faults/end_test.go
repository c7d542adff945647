/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/pkg/agent/ledger"
)

// drainTimeout is what the agent gets to end in.
const drainTimeout = 6 * time.Second

// TestTheEnd: a SIGTERM at any moment. Clients that begin before queue-proxy
// stops sending are all served, and the ledger closes.
func TestTheEnd(t *testing.T) {
	everything := []sort{small(), overHTTP2(small()), serverSentEvents(), overHTTP2(serverSentEvents()), streaming()}
	for _, test := range []struct {
		name  string
		state fault
	}{
		{"with its sink", healthy},
		{"without its sink", refusing},
		{"with a sink that hangs", swallowing},
	} {
		t.Run(test.name, func(t *testing.T) {
			inRounds(t, func(t *testing.T, choose *rand.Rand) {
				r := newRig(t, with("--drain-timeout="+drainTimeout.String()))
				r.network.become(test.state)
				stop := r.begin(5, everything...)
				for count := choose.IntN(100); r.number.Load() < uint64(count); {
					time.Sleep(time.Millisecond)
				}
				r.agent.signal(syscall.SIGTERM)
				told := r.number.Load() + uint64(choose.IntN(20))
				for r.number.Load() < told {
					time.Sleep(time.Millisecond)
				}
				stop()
				if code := r.agent.exit(); code != 0 {
					t.Errorf("the agent ended with %d", code)
				}
				e := r.evidence(r.agent.lastLedger())
				hold(t, e, always()...)
				if e.agent.Pending != 0 {
					t.Errorf("the agent ended with events on their way: %+v", e.agent)
				}
				if test.state == healthy {
					hold(t, e, lossesAreCountable)
					if e.agent.DroppedTotal() != 0 {
						t.Errorf("the sink was there, and the ledger says %+v", e.agent)
					}
				}
			})
		})
	}
}

// TestAnEndlessStreamEnds with the drain's time, and only it is cut.
func TestAnEndlessStreamEnds(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t, with("--drain-timeout="+drainTimeout.String()))
		var stream sync.WaitGroup
		stream.Go(func() { r.one(neverEnding()) })
		eventually(t, "the stream is under way", func() bool { return r.agent.status().Active > 0 })
		r.load(2, 1+choose.IntN(20), small(), streaming())
		r.agent.signal(syscall.SIGTERM)
		r.load(2, 1+choose.IntN(5), small(), overHTTP2(small()))
		if code := r.agent.exit(); code != 0 {
			t.Errorf("the agent ended with %d", code)
		}
		stream.Wait()
		hold(t, r.evidence(r.agent.lastLedger()), append(always(), lossesAreCountable)...)
	})
}

// TestAKilledAgent leaves no false event: SIGKILL, at any moment.
func TestAKilledAgent(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t)
		r.network.become([]fault{healthy, slow, halfOpen}[choose.IntN(3)])
		stop := r.begin(5, small(), overHTTP2(sized(50_000, 50_000)), serverSentEvents(), streaming())
		for count := 20 + choose.IntN(500); r.number.Load() < uint64(count); {
			time.Sleep(time.Millisecond)
		}
		r.agent.kill()
		stop()
		r.network.become(healthy)
		hold(t, r.evidence(ledger.Snapshot{}), afterAKill()...)
	})
}
