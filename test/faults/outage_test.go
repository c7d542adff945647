/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"flag"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

var (
	outage     = flag.Duration("faults.outage", 0, "how long the sink is away in TestLongOutage; 0 leaves it out")
	outageRate = flag.Float64("faults.outage-rate", 500, "the exchanges a second meanwhile")
)

// TestNewestEventsPassTheBacklog (P4): an event that went to the disk behind
// an outage's backlog, just before the sink came back, arrives before that
// backlog is half delivered.
func TestNewestEventsPassTheBacklog(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		// Small files, as after a long time: the newest has few events.
		r := newRig(t, with("--sink.default.spool-dir="+filepath.Join(t.TempDir(), "default"), "--sink.default.spool-bytes=16777216"))
		r.network.become(refusing)
		r.load(4, 100+choose.IntN(25), sized(10_000, 10_000))
		r.awaitSpooled()
		newest := r.one(small())
		r.awaitSpooled()
		r.network.become(healthy)
		r.awaitArrival(newest)
		e := r.atRestAfterReading()
		hold(t, e, append(always(), lossesAreCountable)...)
		for i, event := range e.sink {
			if event.exchange == newest && i > len(e.sink)/2 {
				t.Errorf("P4: the newest event came as number %d of %d", i+1, len(e.sink))
			}
		}
	})
}

// awaitSpooled waits until the disk has all that was observed.
func (r *rig) awaitSpooled() {
	r.t.Helper()
	agenttest.Eventually(r.t, "everything is on the disk", func() bool {
		status := r.status()
		return pledgeOf(status).through == status.Sinks["default"].Observed
	})
}

// TestLongOutage (P2 to P4): the sink is away for minutes while clients go on
// at a steady rate, the agent is killed midway and follows, and when the sink
// is back, all that was spooled arrives beside what goes on.
func TestLongOutage(t *testing.T) {
	if *outage == 0 {
		t.Skip("takes as long as it says: -faults.outage=10m")
	}
	r := newRig(t, with("--sink.default.spool-dir="+filepath.Join(t.TempDir(), "default"), "--sink.default.spool-bytes=2147483648"))
	r.network.become(refusing)
	half := int(*outageRate * outage.Seconds() / 2)
	r.openLoop(*outageRate, half, small(), overHTTP2(small()))
	before := r.status()
	r.Kill()
	r.followed()
	r.openLoop(*outageRate, half, small(), overHTTP2(small()))
	after := r.soFar()

	r.network.become(healthy)
	ended, backlog := time.Now(), len(after.clients)*2-len(after.sink)
	draining := make(chan struct{})
	var clients sync.WaitGroup
	clients.Go(func() {
		for {
			select {
			case <-draining:
				return
			default:
				r.openLoop(*outageRate, int(*outageRate), small(), overHTTP2(small()))
			}
		}
	})
	r.awaitArrival(r.one(small()))
	t.Logf("a live event came %s after the outage's end", time.Since(ended).Round(time.Millisecond))
	// As long as that takes: only go test's own limit ends it.
	for status := r.status(); status.Spools["default"].Unread; status = r.status() {
		time.Sleep(100 * time.Millisecond)
	}
	close(draining)
	took := time.Since(ended)
	clients.Wait()
	e := r.atRestAfterReading()
	arrived := len(byID(e.sink)) - len(byID(after.sink))
	t.Logf("a backlog of %d events was away after %s beside the live ones: %.0f events a second, of which %.0f were live",
		backlog, took.Round(time.Second), float64(arrived)/took.Seconds(), 2**outageRate)
	hold(t, e, append(afterAKill(), pledgesAreKept(pledgeOf(before)), theLawHolds)...)
	if lost := e.agent.DroppedTotal(); lost > 0 {
		t.Errorf("the ledger says %+v", e.agent)
	}
	// Of the first life only what the kill had cut off may be missing.
	t.Logf("the killed agent had %d events that it didn't call spooled; %+v",
		before.Sinks["default"].Observed-pledgeOf(before).through, e.agent)
}
