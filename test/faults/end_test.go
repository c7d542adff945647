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

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestTermination: a SIGTERM at any moment under exchanges of every kind. Clients
// that begin before queue-proxy stops sending are all served, and the ledger
// closes.
//
// One stream and one tunnel are in flight all the time, so that the agent is
// never idle before the clients are done: a busy machine must not look like
// that.
func TestTermination(t *testing.T) {
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
				r := newRig(t, with("--drain-timeout=10m"))
				r.network.become(test.state)
				through := r.openTunnel()
				through.speak()
				finish := make(chan struct{})
				var held sync.WaitGroup
				held.Go(func() { r.one(heldUntil(finish)) })
				agenttest.Eventually(t, "the stream is under way", func() bool { return r.status().Active == 2 })

				stop := r.begin(5, everything...)
				r.awaitExchanges(choose.IntN(100))
				r.Signal(syscall.SIGTERM)
				r.awaitExchanges(choose.IntN(20))
				stop()
				close(finish)
				held.Wait()
				// Longer than an idle agent takes to believe it, and to end.
				time.Sleep(3 * time.Second)
				through.speak()
				through.close()
				if test.state != healthy {
					// What is left can't be delivered, and nobody waits for it.
					r.idle()
					r.Signal(syscall.SIGTERM)
				}
				if code := r.Wait(); code != 0 {
					t.Errorf("the agent ended with %d", code)
				}
				e := r.evidence(r.lastLedger())
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

// awaitExchanges waits until so many more have begun.
func (r *rig) awaitExchanges(more int) {
	r.t.Helper()
	until := r.number.Load() + uint64(more)
	agenttest.Eventually(r.t, "clients go on", func() bool { return r.number.Load() >= until })
}

// TestTerminationIsBounded: exchanges end when they end, however short the time for
// the delivery is. When they are over, events that no sink takes are given up
// as soon as that time is.
func TestTerminationIsBounded(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t, with("--drain-timeout=1s"))
		r.network.become([]fault{refusing, swallowing}[choose.IntN(2)])
		through := r.openTunnel()
		finish := make(chan struct{})
		var held sync.WaitGroup
		held.Go(func() { r.one(heldUntil(finish)) })
		agenttest.Eventually(t, "the stream is under way", func() bool { return r.status().Active == 2 })
		r.load(2, 1+choose.IntN(20), small(), overHTTP2(small()), streaming())
		r.Signal(syscall.SIGTERM)
		// Longer than the time for the delivery.
		time.Sleep(3 * time.Second)
		through.speak()
		close(finish)
		held.Wait()
		through.speak()
		through.close()
		if code := r.Wait(); code != 0 {
			t.Errorf("the agent ended with %d", code)
		}
		e := r.evidence(r.lastLedger())
		hold(t, e, append(always(), everyClientWasServed, lossesAreCountable)...)
		if e.agent.Pending != 0 {
			t.Errorf("the agent ended with events on their way: %+v", e.agent)
		}
	})
}

// TestSecondSignalCutsStreams streams and tunnels that nobody ends, and the delivery.
func TestSecondSignalCutsStreams(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t, with("--drain-timeout=10m"))
		state := []fault{healthy, refusing, swallowing}[choose.IntN(3)]
		r.network.become(state)
		through := r.openTunnel()
		var stream sync.WaitGroup
		stream.Go(func() { r.one(neverEnding()) })
		agenttest.Eventually(t, "the stream is under way", func() bool { return r.status().Active == 2 })
		r.load(2, 1+choose.IntN(20), small(), overHTTP2(small()), streaming())
		if state == healthy {
			// An attempt that is cut off may have reached the sink: who knows.
			agenttest.Eventually(t, "the sink has what there is", func() bool { return r.ledger().Pending == 0 })
		}
		r.Terminate()
		through.speak()
		r.Signal(syscall.SIGTERM)
		if code := r.Wait(); code != 0 {
			t.Errorf("the agent ended with %d", code)
		}
		stream.Wait()
		through.isCut()
		e := r.evidence(r.lastLedger())
		hold(t, e, append(always(), lossesAreCountable)...)
		if e.agent.Pending != 0 {
			t.Errorf("the agent ended with events on their way: %+v", e.agent)
		}
	})
}

// TestKilledAgent leaves no false event: SIGKILL, at any moment.
func TestKilledAgent(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t)
		r.network.become([]fault{healthy, slow, halfOpen}[choose.IntN(3)])
		stop := r.begin(5, small(), overHTTP2(sized(50_000, 50_000)), serverSentEvents(), streaming())
		r.awaitExchanges(20 + choose.IntN(500))
		r.Kill()
		stop()
		r.network.become(healthy)
		hold(t, r.evidence(ledger.Snapshot{}), afterAKill()...)
	})
}
