/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"math/rand/v2"
	"testing"
)

// TestDeadLetters (P1, P3, P9): what the sink doesn't take, the dead letter
// sink has, whole and once; whoever receives from both misses nothing.
func TestDeadLetters(t *testing.T) {
	inRounds(t, func(t *testing.T, choose *rand.Rand) {
		r := newRig(t, withLedger(), withDeadLetters(), with("--sink.default.retry=2", "--sink.default.backoff-delay=5ms"))
		moods := []int{202, 202, 202, 400, 413, 500, 503, 307}
		r.sink.responding(func(int) reply { return reply{status: moods[choose.IntN(len(moods))]} })
		// The dead letter sink has moods of its own, but for good ones only.
		r.letters.responding(func(n int) reply { return reply{status: []int{503, 202}[min(n-1, 1)]} })
		r.load(6, 20, small(), overHTTP2(sized(20_000, 20_000)), serverSentEvents(), streaming())
		e := r.atRest()
		hold(t, e, append(always(), lossesAreCountable)...)
		if e.agent.DeadLettered == 0 || e.agent.Delivered == 0 || e.agent.DroppedTotal() != 0 {
			t.Errorf("the ledger says %+v", e.agent)
		}
	})
}
