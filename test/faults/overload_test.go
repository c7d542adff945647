/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"math/rand/v2"
	"testing"

	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestOverload (P6, P7): bodies of a megabyte, a small budget, and a sink that
// hangs, is slow or is gone. The agent stays under its memory limit, and when
// all is over it holds what it held before.
func TestOverload(t *testing.T) {
	// The runtime's limit is three quarters of the container's, as it ships.
	const budget, runtimeLimit, limit = 16 << 20, 60 << 20, 80 << 20
	for _, state := range []fault{swallowing, slow, refusing} {
		t.Run(string(state), func(t *testing.T) {
			inRounds(t, func(t *testing.T, _ *rand.Rand) {
				// All the bodies together would be twice the limit.
				line := with("--max-payload-bytes=1100000", "--events=request,response,stream,request.oversize,response.oversize")
				fresh := newRig(t, withMemory(budget, runtimeLimit), line)
				goroutines := fresh.goroutines()

				r := newRig(t, withMemory(budget, runtimeLimit), line)
				r.load(1, 1, small())
				before := usage{rssAnon: r.rssAnon(), descriptors: r.descriptors(), goroutines: goroutines}
				peak := r.watchMemory()
				r.network.become(state)
				r.load(8, 8, sized(1<<20, 1<<20), overHTTP2(sized(1<<20, 1<<20)))
				hold(t, r.soFar(), always()...)
				if used := r.status().BufferUsed; used > budget {
					t.Errorf("%d bytes are held, the budget is %d", used, budget)
				}

				r.network.become(healthy)
				r.awaitSuccess()
				r.awaitArrival(r.one(small()))
				hold(t, r.atRest(), always()...)
				if used := r.status().BufferUsed; used != 0 {
					t.Errorf("at rest %d bytes are held", used)
				}
				highest := peak()
				// What is kept for later goes when its other end does.
				r.hangUp()
				r.network.become(refusing)
				r.Model.Close()
				agenttest.Eventually(t, "the agent holds no connection", func() bool { return r.descriptors() <= before.descriptors })
				after := usage{descriptors: r.descriptors()}
				after.goroutines = r.goroutines()
				t.Logf("resident %d MiB at most, %d descriptors before and %d after, %d goroutines before and %d after",
					highest>>20, before.descriptors, after.descriptors, before.goroutines, after.goroutines)
				if err := isBounded(before, after, highest, limit); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
