/*
Copyright 2026 The Sidenote Authors
SPDX-License-Identifier: Apache-2.0
*/

package faults

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sidenote-dev/sidenote/internal/agent/ledger"
	"github.com/sidenote-dev/sidenote/test/agenttest"
)

// TestUnselectedEventsAreCounted (P9): the agent sends no failures, as it is
// shipped, and in the second case no requests. Its ledger event then counts, by
// kind, each side of an exchange that gave no event.
func TestUnselectedEventsAreCounted(t *testing.T) {
	for _, test := range []struct {
		name  string
		sides option
	}{
		{"failures", func(*options) {}},
		{"failures and requests", responsesOnly()},
	} {
		t.Run(test.name, func(t *testing.T) {
			inRounds(t, func(t *testing.T, choose *rand.Rand) {
				r := newRig(t, withLedger(), test.sides)
				r.load(3, 2+choose.IntN(5), small(), overHTTP2(small()), serverSentEvents(), streaming())

				// Clients that go away within their request, or within its response.
				never := make(chan struct{})
				leaving, leave := context.WithCancel(t.Context())
				defer leave()
				var gone sync.WaitGroup
				broken := []sort{heldBack(never, sized(50_000, 10)), heldBack(never, overHTTP2(sized(50_000, 10))), idleStream(), overHTTP2(idleStream())}
				count := 4 + choose.IntN(20)
				for n := range count {
					gone.Go(func() { r.exchange(leaving, broken[n%len(broken)]) })
				}
				agenttest.Eventually(t, "the exchanges are under way, and the model has those of streams", func() bool {
					return r.status().Active == int64(count) && r.streamsBegun() == countOf(count, 2)+countOf(count, 3)
				})
				leave()
				gone.Wait()

				probes := uint64(1 + choose.IntN(5))
				for range probes {
					r.probe()
				}
				r.idle()
				// The ledger event that follows this exchange has the skips before it.
				r.one(small())
				e := r.atRest()
				hold(t, e, theLawHolds, nothingIsUnexpected, theLedgerIsTrue, everyBodyIsTheirs, aDuplicateIsTheSame,
					statementsAreTrue, lossesAreCountable, skipsAreCountable)
				if said := e.statements[len(e.statements)-1].says.Skipped[ledger.SkipProbe]; said != probes {
					t.Errorf("P9: of %d probes the ledger event says %d", probes, said)
				}
				if e.skipped["response.failure"] != uint64(count) {
					t.Errorf("of %d clients that went away the ledger event says %v", count, e.skipped)
				}
			})
		})
	}
}

// countOf says how many of the numbers below count are of this place in turns
// of four.
func countOf(count, place int) int { return (count + 3 - place) / 4 }

// streamsBegun counts the idle streams that the model has begun to respond.
func (r *rig) streamsBegun() int {
	responded := 0
	for id, seen := range r.model.copy() {
		if planned, _ := planOf(id); planned.kind == idle && seen.responded {
			responded++
		}
	}
	return responded
}

// probe asks how the model is.
func (r *rig) probe() {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.URL+"/v2/health/ready", strings.NewReader(""))
	if err != nil {
		r.t.Fatal(err)
	}
	responded, err := r.http1.RoundTrip(request)
	if err != nil {
		r.t.Fatal(fmt.Errorf("probing: %w", err))
	}
	_, _ = io.Copy(io.Discard, responded.Body)
	responded.Body.Close()
}
