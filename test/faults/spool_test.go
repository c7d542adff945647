/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/internal/agent/status"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// withSpool gives the sink a spool that outlives the agent.
func withSpool(t *testing.T) option {
	return with("--sink.default.spool-dir="+filepath.Join(t.TempDir(), "default"), "--sink.default.spool-bytes=67108864")
}

// followed starts an agent with the same arguments as one that is gone.
func (r *rig) followed() {
	r.t.Helper()
	r.Restart()
	r.url = r.URL
}

// pledge is what an agent said of itself: every event up to through has ended
// or is on the disk.
type pledge struct {
	instance string
	through  uint64
}

func pledgeOf(status status.Status) pledge {
	return pledge{status.AgentInstance, status.Spools["default"].SpooledThrough}
}

// pledgesAreKept (P2): the sink has what was called spooled.
func pledgesAreKept(pledges ...pledge) property {
	return func(e evidence) error {
		seen := make(map[string]bool)
		for _, event := range e.sink {
			seen[fmt.Sprint(event.instance, event.sequence)] = true
		}
		for _, p := range pledges {
			for n := uint64(1); n <= p.through; n++ {
				if !seen[fmt.Sprint(p.instance, n)] {
					return fmt.Errorf("P2: event %d of agent %s is missing, which called %d spooled", n, p.instance, p.through)
				}
			}
		}
		return nil
	}
}

// TestSpooledEventsSurviveKill: agents that are killed at any moment, one
// after the other, with a sink that is now there and now isn't. What each had
// called spooled arrives, nothing else does, and live events don't wait for it.
func TestSpooledEventsSurviveKill(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t, impatient(), withSpool(t))
		var pledges []pledge
		lives := 2 + choose.IntN(3)
		for life := range lives {
			if life > 0 {
				r.followed()
			}
			states := []fault{refusing, swallowing, healthy}
			if life == 0 || life == lives-1 {
				states = states[:2]
			}
			state := states[choose.IntN(len(states))]
			r.network.become(state)
			stop := r.begin(3, small(), overHTTP2(sized(20_000, 20_000)), serverSentEvents(), streaming())
			wanted := uint64(50 + choose.IntN(200))
			agenttest.Eventually(t, fmt.Sprintf("event %d is called spooled while the sink is %s", wanted, state), func() bool {
				return pledgeOf(r.status()).through >= wanted
			})
			status := r.status()
			if dropped := status.Sinks["default"]; dropped.DroppedTotal() > 0 {
				t.Errorf("the ledger says %+v", dropped)
			}
			pledges = append(pledges, pledgeOf(status))
			time.Sleep(time.Duration(choose.IntN(50)) * time.Millisecond)
			r.Kill()
			stop()
			hold(t, r.evidence(ledger.Snapshot{}), afterAKill()...)
		}
		r.network.become(healthy)
		r.followed()
		live := r.one(small())
		r.awaitArrival(live)
		e := r.atRestAfterReading()
		hold(t, e, append(afterAKill(), pledgesAreKept(pledges...), theLawHolds, arrived(live))...)
		if e.agent.Recovered == 0 || e.agent.DroppedTotal() > 0 {
			t.Errorf("after %d lives the ledger says %+v", lives, e.agent)
		}
	})
}

// TestLiveEventsPassTheSpool (P4): those of an agent with a backlog on
// its disk take turns with it.
func TestLiveEventsPassTheSpool(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t, withSpool(t))
		r.network.become(refusing)
		r.load(3, 300+choose.IntN(100), small())
		r.awaitSpooled()
		promised := pledgeOf(r.status())
		r.Kill()
		// The sink sends no response before the live events are there, and then one
		// attempt at a time, slowly enough for what waits to go to the disk.
		observed := make(chan struct{})
		r.sink.responding(func(int) reply {
			<-observed
			time.Sleep(2 * time.Millisecond)
			return accepted
		})
		r.network.become(healthy)
		r.followed()
		live := r.one(small())
		r.idle()
		close(observed)
		r.awaitArrival(live)
		hold(t, r.atRestAfterReading(), append(afterAKill(), pledgesAreKept(promised), theLawHolds)...)
		events := r.sink.events()
		for i, event := range events {
			if event.exchange == live && i > len(events)/4 {
				t.Errorf("the live event came as number %d of %d", i+1, len(events))
			}
		}
	})
}

// atRestAfterReading waits until the spool was read and every event has its
// fate.
func (r *rig) atRestAfterReading() evidence {
	r.t.Helper()
	agenttest.Eventually(r.t, "the spool has been read", func() bool {
		spool := r.status().Spools["default"]
		return spool.Open && !spool.Unread
	})
	return r.atRest()
}

// TestPropertiesDetectBrokenPledges, by the property that all of this rests on.
func TestPropertiesDetectBrokenPledges(t *testing.T) {
	e := evidence{sink: []taken{{instance: "a", sequence: 1}, {instance: "a", sequence: 2}, {instance: "b", sequence: 3}}}
	if err := pledgesAreKept(pledge{"a", 2})(e); err != nil {
		t.Error(err)
	}
	if pledgesAreKept(pledge{"a", 3})(e) == nil {
		t.Error("an event that is missing is not seen")
	}
}
